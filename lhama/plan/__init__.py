"""What we intend: the recipe, its schedule, its cost and its expected loss. No torch, and nothing prints."""

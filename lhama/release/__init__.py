"""Record in, publication out: figures, the report page and the model card."""

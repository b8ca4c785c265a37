"""Text in, clean text out, with a reason for every document that was dropped."""

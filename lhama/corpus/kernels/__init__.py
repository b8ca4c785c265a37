"""The inner loops of the quality rules: compiled, over bytes, with no Python object per document or word."""

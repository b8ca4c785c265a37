"""Thresholds, stop words and words of translated code, a file for each language."""

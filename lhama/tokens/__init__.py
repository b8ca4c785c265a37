"""Clean text in, integers out: vocabulary, token streams, rows, and the order in which training sees them."""

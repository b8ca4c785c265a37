"""The four steps of text repair, each of which finds by a fast scan the documents that it has something to do for."""

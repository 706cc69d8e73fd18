"""Level 1, retrieval: lexical (BM25), dense (exact cosine), and the candidate pool that unites them."""

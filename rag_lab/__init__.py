"""rag_lab: which optimisation of a RAG pipeline pays, on your corpus, by how much, and how sure are we?"""

__version__ = "0.1.0"

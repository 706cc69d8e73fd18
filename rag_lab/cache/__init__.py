"""What is remembered between queries, in which layer, for how long."""

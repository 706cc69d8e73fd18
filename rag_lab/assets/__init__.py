"""What is fetched or kept, by content hash: pinned downloads, the vector cache, atomic files."""

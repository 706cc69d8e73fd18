"""Where text comes from: collections, read, validated, cut, split and known by their fingerprint."""

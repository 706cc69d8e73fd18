"""What is measured, how sure we are, and which targets it meets."""

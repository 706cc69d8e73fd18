"""What things cost, and how much to spend on a query."""

"""Level 3, answers: passages into a cited answer."""

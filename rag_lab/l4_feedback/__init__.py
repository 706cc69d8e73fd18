"""Level 4, feedback and optimisation: who says what was good, what of it is believed, what is done next."""

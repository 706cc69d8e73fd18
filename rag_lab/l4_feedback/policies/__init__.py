"""Policies: who chooses the action of the next query. One module, one YAML, one test each."""

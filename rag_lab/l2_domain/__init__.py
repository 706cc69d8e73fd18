"""Level 2, domain detection: whose question is this?"""

"""Cohorts: groups of people by what they did and what they are, found out whenever a question names one."""

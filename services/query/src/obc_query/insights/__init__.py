"""Insights: a request becomes a checked question, a question statements, their rows an answer. One folder each."""

"""Processes with an owner: started in order, restarted when they die, ended in reverse."""

"""Time, memory and traffic, and the machine on which they were measured."""

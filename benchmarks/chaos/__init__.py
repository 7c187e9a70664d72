"""Kills of every kind, at random, while a population trains: what is lost, and what is broken."""

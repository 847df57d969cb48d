"""Explaining: a record, column by column, and what became of each."""

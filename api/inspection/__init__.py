"""Inspections: what they were about and how they ended, kept with their pictures."""

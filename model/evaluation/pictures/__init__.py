"""What the service sees in a picture beside what a viewer shows, for all that Pillow writes and for a user's folder.

Reading order: sources (one photo in every colour), variants (the table of formats and their encoders' options), viewer
(Pillow as the other decoder), beside (both, one picture at a time), report.
"""

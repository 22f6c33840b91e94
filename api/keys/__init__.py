"""Who may do what: the keys of the API, their file, and the commands that change it."""

"""A second network, from somebody else's PyTorch file to bundles that the service runs.

The worked example of docs/bring-your-own-model.md.
"""

"""The server below Flask: how many connections a peer may have, and what is answered before there is a request."""

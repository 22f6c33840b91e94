"""What the service says of itself: OpenAPI from the code, and two pages that show it."""

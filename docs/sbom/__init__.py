"""``make sbom``: what this service is made of, as a CycloneDX document."""

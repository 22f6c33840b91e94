"use strict";

// Swagger UI on /docs; its files come with the package offapi.
window.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("swagger-ui");
  window.SwaggerUIBundle({
    url: place.dataset.document,
    domNode: place,
    deepLinking: true,
    validatorUrl: null, // its default is a service on another host
  });
});

"use strict";

// Swagger UI on /docs; its files come with the package offapi.

const dark = window.matchMedia("(prefers-color-scheme: dark)");

const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);

/** What `$ref` points at in the document, or the thing itself. */
function found(described, thing) {
  return thing.$ref ? thing.$ref.split("/").slice(1).reduce((place, name) => place[name], described) : thing;
}

/** A schema that shows no value of its own. Of one without an example Swagger UI makes up a value, so it is empty. */
function silent(described, schema) {
  const { default: _default, examples: _examples, ...rest } = found(described, schema);
  return { ...rest, example: "" };
}

/**
 * The document without what Swagger UI would fill in where nothing need be sent: tried out as it stands, a request must
 * get the answer that it gets without its optional fields.
 */
function withNothingFilledIn(described) {
  const operations = Object.values(described.paths).flatMap((path) => Object.values(path));
  for (const parameter of operations.flatMap(({ parameters = [] }) => parameters.map((one) => found(described, one)))) {
    if (!parameter.required) {
      delete parameter.example;
      parameter.schema = silent(described, parameter.schema);
    }
  }
  for (const body of operations.flatMap(({ requestBody }) => (requestBody ? [found(described, requestBody)] : []))) {
    for (const { schema } of Object.values(body.content)) {
      const { properties = {} } = found(described, schema);
      for (const [name, property] of Object.entries(properties)) {
        const { format, type } = found(described, property);
        if (format !== "binary" && type !== "array") {
          properties[name] = silent(described, property);
        }
      }
    }
  }
  return described;
}

/** "Send empty value" is ticked beside every empty field of a form unless this says otherwise. */
const nothingEmptyIsSent = () => ({
  wrapComponents: {
    ParameterIncludeEmpty: (Original, { React }) => (props) =>
      React.createElement(Original, { ...props, isIncludedOptions: { ...props.isIncludedOptions, defaultValue: false } }),
  },
});

window.addEventListener("DOMContentLoaded", async () => {
  follow();
  dark.addEventListener("change", follow);
  const place = document.getElementById("swagger-ui");
  const response = await fetch(place.dataset.document);
  window.SwaggerUIBundle({
    spec: withNothingFilledIn(await response.json()),
    domNode: place,
    plugins: [nothingEmptyIsSent],
    deepLinking: true,
    validatorUrl: null, // its default is a service on another host
  });
});

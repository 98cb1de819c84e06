/** The OpenAPI description as a page; nothing is asked of anybody but this service. */

const FORM = "multipart/form-data";

/**
 * Fill the forms with what a first try needs: the example of the whole body, and the defaults.
 * Swagger UI would send the example of each property, and those contradict each other.
 * @param {Object} spec the OpenAPI description; changed in place
 * @returns {Object} the same
 */
function withFirstTry(spec) {
  const operations = Object.values(spec.paths ?? {}).flatMap(Object.values);
  for (const operation of operations) {
    const form = operation.requestBody?.content?.[FORM];
    for (const [name, field] of Object.entries(form?.schema?.properties ?? {})) {
      if (field.format === "binary") continue; // a file is chosen
      const blank = field.type === "array" || field.anyOf?.some((one) => one.type === "array") ? [] : "";
      const first = form.example?.[name] ?? field.default ?? blank;
      field.examples = [first, ...(field.examples ?? [])];
    }
  }
  return spec;
}

/** A field that is left empty is not sent, unless its box is ticked. */
function emptyMeansAbsent(Original, { React }) {
  return (props) => {
    const isIncludedOptions = { ...props.isIncludedOptions, defaultValue: false };
    return React.createElement(Original, { ...props, isIncludedOptions });
  };
}

/** Whoever changes the type of the body begins anew: a form's fields are no JSON. */
function beginAnew(original, { oas3Actions }) {
  return (choice) => {
    oas3Actions.setRequestBodyValue({ value: undefined, pathMethod: choice.pathMethod });
    return original(choice);
  };
}

const firstTry = {
  statePlugins: {
    spec: { wrapActions: { updateJsonSpec: (original) => (spec) => original(withFirstTry(spec)) } },
    oas3: { wrapActions: { setRequestContentType: beginAnew } },
  },
  wrapComponents: { ParameterIncludeEmpty: emptyMeansAbsent },
};

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false, // a key stays in memory
  validatorUrl: null, // the default would send the description to a public validator
  plugins: [firstTry],
});

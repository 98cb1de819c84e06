/** The OpenAPI description as a page; nothing is asked of anybody but this service. */

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false, // a key stays in memory
  validatorUrl: null, // the default would send the description to a public validator
});

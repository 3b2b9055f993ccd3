// Shows openapi.json, without anything from elsewhere.
import { byId, make } from "./ui.js";

const description = await (await fetch("openapi.json")).json();
const resolve = (schema) => (schema?.$ref ? description.components.schemas[schema.$ref.split("/").pop()] : schema);

function fields(schema, depth = 0) {
  const resolved = resolve(schema);
  if (!resolved?.properties || depth > 4) return null;
  const needed = new Set(resolved.required ?? []);
  return make(
    "ul",
    {},
    ...Object.entries(resolved.properties).map(([name, field]) => {
      const inner = [field, ...(field.anyOf ?? []), field.items].map(resolve).find((each) => each?.properties);
      const kind = field.type ?? (field.anyOf ?? []).map((each) => each.type ?? each.$ref?.split("/").pop()).filter(Boolean).join(" or ");
      const words = `: ${kind || field.$ref?.split("/").pop() || ""}${needed.has(name) ? ", needed" : ""}${field.description ? ` - ${field.description}` : ""}`;
      return make("li", {}, make("code", { text: name }), make("span", { text: words }), inner ? fields(inner, depth + 1) : null);
    }),
  );
}

for (const [path, methods] of Object.entries(description.paths))
  for (const [method, operation] of Object.entries(methods)) {
    const body = operation.requestBody?.content?.["application/json"]?.schema;
    const parameters = (operation.parameters ?? []).map((each) =>
      make("li", {}, make("code", { text: each.name }), make("span", { text: ` (${each.in})${each.required ? ", needed" : ""}` })),
    );
    byId("operations").append(
      make(
        "details",
        {},
        make("summary", {}, make("code", { text: `${method.toUpperCase()} ${path}` }), make("span", { text: ` ${operation.summary ?? ""}` })),
        parameters.length ? make("ul", {}, ...parameters) : null,
        body ? make("div", {}, make("p", { text: "Body:" }), fields(body) ?? "") : null,
      ),
    );
  }

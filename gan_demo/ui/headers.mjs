// Read by the Node server that renders Gradio's page where SSR is on: it answers before Guard sees anything, so the
// same headers go on its answers here.
import { ServerResponse } from "node:http";

const headers = Object.entries(JSON.parse(process.env.GAN_DEMO_HEADERS ?? "{}"));
const { writeHead } = ServerResponse.prototype;

ServerResponse.prototype.writeHead = function (...said) {
  for (const [name, value] of headers) if (!this.hasHeader(name)) this.setHeader(name, value);
  return writeHead.apply(this, said);
};

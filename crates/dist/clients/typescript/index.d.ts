import type { Client, ClientOptions } from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

/** Bodies of requests and responses, by name. */
export type Schemas = components["schemas"];

/** A platform and credentials. Other options are those of openapi-fetch. */
export interface Connection extends Omit<ClientOptions, "baseUrl"> {
  /** Address of the platform, without a path: `https://events.example.com`. */
  url: string;
  /** URL of the PIM, as registered. */
  pimUrl: string;
  clientId: string;
  /** A token, or a function that returns one, called for each request. */
  token: string | (() => string | Promise<string>);
}

/** A client of the API: `client.GET("/api/v1/subscribers")` resolves to `{ data, error, response }`. */
export default function connect(connection: Connection): Client<paths>;

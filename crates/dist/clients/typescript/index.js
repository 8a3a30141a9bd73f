import createClient from "openapi-fetch";

export default function connect({ url, pimUrl, clientId, token, ...options }) {
  const client = createClient({ ...options, baseUrl: url });
  client.use({
    async onRequest({ request }) {
      request.headers.set("X-PIM-URL", pimUrl);
      request.headers.set("X-PIM-CLIENT-ID", clientId);
      request.headers.set("X-PIM-TOKEN", typeof token === "function" ? await token() : token);
      return request;
    },
  });
  return client;
}

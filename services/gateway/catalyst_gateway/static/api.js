// Calls of the REST API with the browser's session.
export class NotSignedIn extends Error {}

export async function api(path, options = {}) {
  const response = await fetch(path, { ...options, headers: { "x-catalyst-console": "1", "content-type": "application/json" } });
  if (response.status === 401) throw new NotSignedIn("sign in first");
  const text = await response.text();
  const body = text ? JSON.parse(text) : {};
  if (!response.ok) throw new Error(`${body.detail ?? response.statusText} (${body.reason ?? response.status})`);
  return body;
}

export async function signIn(code) {
  const response = await fetch("/v1/auth/login", { method: "POST", body: JSON.stringify({ code }), headers: { "content-type": "application/json", "x-catalyst-console": "1" } });
  if (!response.ok) throw new Error((await response.json()).detail);
}

export async function everyPage(path, field) {
  const rows = [];
  let token = "";
  do {
    const answer = await api(`${path}?pageSize=1000${token ? `&pageToken=${encodeURIComponent(token)}` : ""}`);
    rows.push(...answer[field]);
    token = answer.nextPageToken;
  } while (token);
  return rows;
}

// Hands a signed-in user of your app what LiveKit's SDKs join with: POST /join {"room"} -> {"token", "wsUrl"}.
import { createServer } from "node:http";

const { STREAMHUB_URL, STREAMHUB_TOKEN, STREAMHUB_APP = "live", APP_SESSIONS = "{}", PORT = "8080" } = process.env;
const mint = new URL(`/api/v1/apps/${STREAMHUB_APP}/tokens`, STREAMHUB_URL);
const headers = { Authorization: `Bearer ${STREAMHUB_TOKEN}`, "Content-Type": "application/json" };
const sessions = new Map(Object.entries(JSON.parse(APP_SESSIONS)));

// YOUR CHECK GOES HERE: the user of this session, and what they may do; undefined for a stranger.
const signedIn = (authorization) => sessions.get(authorization.replace(/^Bearer /, ""));

// Status and answer. The identity and the grants are your server's to say, never the app's.
async function join(authorization, body) {
    const user = signedIn(authorization);
    if (!user) return [401, { error: "sign in first" }];
    let room;
    try { room = JSON.parse(body).room; } catch { /* said below */ }
    if (typeof room !== "string") return [400, { error: 'send {"room": "…"}' }];
    if (!user.rooms.includes(room)) return [403, { error: "this room is not open to you" }];
    const wants = { room, identity: user.id, canPublish: user.publish, canSubscribe: true, ttl: "5m" };
    try {
        const request = { method: "POST", headers, body: JSON.stringify(wants), signal: AbortSignal.timeout(5000) };
        const answer = await fetch(mint, request);
        const text = await answer.text();
        if (answer.ok) return [200, (({ token, wsUrl }) => ({ token, wsUrl }))(JSON.parse(text).data)];
        console.error(`StreamHub answered ${answer.status}: ${text.slice(0, 500)}`);
        return [[429, 503].includes(answer.status) ? 503 : 502, { error: "video is not available" }];
    } catch (error) {
        console.error(`StreamHub could not be asked: ${error.cause?.message ?? error.message}`);
        return [503, { error: "video is not available, try again" }];
    }
}

async function bodyOf(request) {
    let body = "";
    for await (const part of request.setEncoding("utf8")) if ((body += part).length > 1000) return null;
    return body;
}

const server = createServer({ requestTimeout: 10_000 }, async (request, response) => {
    let status = 404, answer = { error: "POST /join" };
    if (request.method === "POST" && request.url === "/join") {
        const body = await bodyOf(request).catch(() => null);
        if (body === null) [status, answer] = [400, { error: "send a short body with its length" }];
        else [status, answer] = await join(request.headers.authorization ?? "", body);
    }
    response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
    response.end(JSON.stringify(answer));
});
server.listen(Number(PORT), "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));

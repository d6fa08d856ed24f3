// The work of bench_live with what carries messages between processes:
//   node peer_live.mjs redis|relay|y-websocket|nats [--smoke] [--only visible|flood]... [--list]
// A writer, a server and a reader, each a process. Redis syncs its file at every write and publishes what
// it has stored; NATS stores in a stream on the disk (it syncs that every two minutes); the others keep
// everything in memory.
import { fork, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const kinds = ["redis", "relay", "y-websocket", "nats"];
const now = () => Number(process.hrtime.bigint()); // one clock for the machine's processes; ns
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// What a writer and a reader of each kind do: `send(records)` is done when all are with the server, and
// `receive(each)` calls back for every one that arrives.
const clients = {
  async redis(port) {
    const socket = net.connect(port, "127.0.0.1");
    await new Promise((done) => socket.once("connect", done));
    socket.setNoDelay(true);
    const command = (words) =>
      `*${words.length}\r\n` + words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join("");
    return {
      async send(records) {
        let left = records.length * 2; // each answer of SET and PUBLISH is one line
        const answered = new Promise((done) => {
          const count = (data) => {
            for (const octet of data) if (octet === 10) --left;
            if (left > 0) return;
            socket.off("data", count);
            done();
          };
          socket.on("data", count);
        });
        socket.write(records.map((r) => command(["SET", r.id, JSON.stringify(r)]) +
                                        command(["PUBLISH", "news", r.id])).join(""));
        await answered;
      },
      async receive(each) {
        // Answers are arrays of texts and numbers; a message is ["message", channel, id].
        let rest = "";
        let left = 0;
        let parts = [];
        socket.on("data", (data) => {
          rest += data;
          for (let end; (end = rest.indexOf("\r\n")) >= 0; rest = rest.slice(end + 2)) {
            const line = rest.slice(0, end);
            if (left === 0) {
              left = Number(line.slice(1));
              parts = [];
            } else if (line[0] !== "$") {
              parts.push(line);
              if (--left === 0 && parts[0] === "message") each(parts[2]);
            }
          }
        });
        socket.write(command(["SUBSCRIBE", "news"]));
        await sleep(100);
      },
      end() { socket.end(); },
    };
  },
  async relay(port) {
    const { WebSocket } = await import("ws");
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
    await new Promise((done) => socket.once("open", done));
    return {
      async send(records) {
        for (const r of records) socket.send(JSON.stringify(r));
        while (socket.bufferedAmount > 1 << 20) await sleep(1);
      },
      async receive(each) { socket.on("message", (data) => each(JSON.parse(data).id)); },
      end() { socket.close(); },
    };
  },
  async "y-websocket"(port) {
    const Y = await import("yjs");
    const { WebsocketProvider } = await import("y-websocket");
    const { WebSocket } = await import("ws");
    const doc = new Y.Doc();
    const map = doc.getMap("records");
    const provider = new WebsocketProvider(`ws://127.0.0.1:${port}`, "bench", doc,
                                           { WebSocketPolyfill: WebSocket, disableBc: true });
    await new Promise((done) => provider.once("sync", done));
    return {
      async send(records) {
        if (records.length === 1) return void map.set(records[0].id, records[0]);
        for (const r of records) map.set(r.id, r);
        await sleep(0);
      },
      async receive(each) { map.observe((event) => { for (const id of event.keysChanged) each(id); }); },
      end() { provider.destroy(); },
    };
  },
  async nats(port) {
    const { connect } = await import("nats");
    const link = await connect({ servers: `127.0.0.1:${port}` });
    const store = await link.jetstream().views.kv("bench", { storage: "file" });
    return {
      async send(records) { await Promise.all(records.map((r) => store.put(r.id, JSON.stringify(r)))); },
      async receive(each) {
        const watch = await store.watch();
        (async () => { for await (const entry of watch) each(entry.key); })();
        await sleep(100);
      },
      end() { link.close(); },
    };
  },
};

// Starts the server of a kind on a free port; returns the port and how to end it.
async function server(kind) {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), "loam-bench-"));
  const require = createRequire(import.meta.url);
  const commands = {
    redis: ["redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "",
                             "--appendonly", "yes", "--appendfsync", "always"], {}],
    nats: ["nats-server", ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", dir], {}],
    relay: [process.execPath, [fileURLToPath(import.meta.url), "serve-relay", String(port)], {}],
    "y-websocket": [process.execPath,
                    [join(require.resolve("yjs"), "../../../y-websocket/bin/server.cjs")],
                    { PORT: String(port), HOST: "127.0.0.1" }],
  };
  const [program, args, env] = commands[kind];
  const running = spawn(program, args, { stdio: "ignore", env: { ...process.env, ...env } });
  const failed = new Promise((_, fail) => running.once("error", fail));
  const ready = (async () => {
    for (let tries = 0; tries < 500; ++tries) {
      if (await answers(port)) return;
      await sleep(20);
    }
    throw new Error(program + " does not answer");
  })();
  await Promise.race([ready, failed]);
  return {
    port,
    async end() {
      running.kill();
      await new Promise((done) => running.once("exit", done));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function freePort() {
  return new Promise((done) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

function answers(port) {
  return new Promise((done) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => { socket.destroy(); done(true); });
    socket.once("error", () => done(false));
  });
}

async function serveRelay(port) {
  const { WebSocketServer } = await import("ws");
  const relay = new WebSocketServer({ port, host: "127.0.0.1", perMessageDeflate: false });
  relay.on("connection", (from) => {
    from.on("message", (data) => { for (const to of relay.clients) if (to !== from) to.send(data); });
  });
}

// The reader's process: says when each record came.
async function read(kind, port, count) {
  const client = await clients[kind](Number(port));
  const times = {};
  let left = Number(count);
  await client.receive((id) => {
    if (times[id]) return;
    times[id] = now();
    if (--left === 0) process.send({ times });
  });
  process.send("ready");
}

async function run(kind, work, count, write) {
  const serving = await server(kind);
  const reader = fork(fileURLToPath(import.meta.url), ["read", kind, String(serving.port), String(count)]);
  try {
    await new Promise((done) => reader.once("message", done));
    const all = new Promise((done, fail) => {
      reader.once("message", (message) => done(message.times));
      setTimeout(() => fail(new Error("records are missing")), 300_000).unref();
    });
    const client = await clients[kind](serving.port);
    const records = Array.from({ length: count }, (_, i) => ({
      id: "r" + i,
      text: ("note " + i + ": always roll back the deploy before the schema is migrated ").padEnd(200, "x"),
      tags: ["deploy", "schema", "rollback"], author: "agent", at: 1_700_000_000_000 + i,
    }));
    const result = await write(client, records, all);
    client.end();
    return result;
  } finally {
    reader.kill();
    await serving.end();
  }
}

const percentile = (values, share) =>
  values.sort((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)];

const parts = {
  async visible(kind, smoke) {
    const count = smoke ? 60 : 3_000;
    const perSecond = 500;
    const waited = await run(kind, "visible", count, async (client, records, all) => {
      const begun = {};
      const start = now();
      for (let i = 0; i < count; ++i) {
        const due = start + i * (1e9 / perSecond);
        while (now() < due) await sleep(Math.max(0, Math.floor((due - now()) / 1e6) - 1));
        begun[records[i].id] = now();
        await client.send([records[i]]);
      }
      const times = await all;
      return Object.keys(begun).map((id) => (times[id] - begun[id]) / 1e3);
    });
    return ["live/visible", { records: count, per_s: perSecond },
            { p50_us: percentile(waited, 0.5), p99_us: percentile(waited, 0.99) }, waited.length];
  },
  async flood(kind, smoke) {
    const count = smoke ? 2_000 : kind === "redis" || kind === "relay" ? 100_000 : 20_000;
    const batch = 500;
    const perSecond = await run(kind, "flood", count, async (client, records, all) => {
      const begun = now();
      for (let i = 0; i < count; i += batch) await client.send(records.slice(i, i + batch));
      const last = Math.max(...Object.values(await all).reduce((m, t) => [Math.max(m[0], t)], [0]));
      return count / ((last - begun) / 1e9);
    });
    return ["live/flood", { records: count, batch }, { per_s: perSecond }, count];
  },
};

async function main(kind, rest) {
  const only = rest.filter((word, i) => rest[i - 1] === "--only");
  if (rest.includes("--list")) return Object.keys(parts).forEach((part) => console.log(part));
  for (const part in parts) {
    if (only.length > 0 && !only.includes(part)) continue;
    const [bench, sizes, values, result] = await parts[part](kind, rest.includes("--smoke"));
    console.log(JSON.stringify({ bench, implementation: kind, sizes, values, result: String(result) }));
  }
}

const [, , first, ...rest] = process.argv;
if (first === "read") await read(...rest);
else if (first === "serve-relay") await serveRelay(Number(rest[0]));
else if (kinds.includes(first)) { await main(first, rest); process.exit(0); }
else {
  console.error("Usage: node peer_live.mjs " + kinds.join("|") + " [--smoke] [--only visible|flood]... [--list]");
  process.exit(2);
}

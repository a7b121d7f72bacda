// Drives a Toxiproxy server at argv[2] through everything that toxiproxy-node-client offers.
// Exits 0 and prints how many checks held, or throws at the first that did not.
"use strict";
const assert = require("node:assert/strict");
const net = require("node:net");
const { Toxiproxy } = require("toxiproxy-node-client");

let checks = 0;
const same = (actual, expected) => {
  assert.deepEqual(actual, expected);
  checks += 1;
};

const echo = () =>
  new Promise((resolve) => {
    const server = net.createServer((socket) => socket.on("error", () => {}).pipe(socket)); // resets are the point
    server.listen(0, "127.0.0.1", () => resolve(server));
  });

// Resolves with the milliseconds until `text` came back, or with the error's code, or "closed".
const roundTrip = (listen, text) =>
  new Promise((resolve) => {
    const port = Number(listen.split(":").pop());
    const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
    const begun = process.hrtime.bigint();
    let heard = "";
    socket.on("data", (data) => {
      heard += data;
      if (heard === text) {
        resolve(Number(process.hrtime.bigint() - begun) / 1e6);
        socket.destroy();
      }
    });
    socket.on("error", (error) => resolve(error.code));
    socket.on("close", () => resolve("closed"));
  });

const main = async () => {
  const upstream = await echo();
  const target = `127.0.0.1:${upstream.address().port}`;
  const client = new Toxiproxy(process.argv[2]);

  assert.match(await client.getVersion(), /"version"/);
  const proxy = await client.createProxy({ name: "echo", listen: "127.0.0.1:0", upstream: target });
  same([proxy.name, proxy.upstream, proxy.enabled], ["echo", target, true]);
  same(typeof (await roundTrip(proxy.listen, "hello")), "number");
  await assert.rejects(client.createProxy({ name: "echo", listen: "127.0.0.1:0", upstream: target }));
  await assert.rejects(client.get("nobody"));
  same((await client.get("echo")).listen, proxy.listen);

  const attributes = { latency: 120, jitter: 0 };
  const toxic = await proxy.addToxic({
    name: "slow", type: "latency", stream: "downstream", toxicity: 1, attributes,
  });
  same([toxic.name, toxic.type, toxic.stream, toxic.toxicity], ["slow", "latency", "downstream", 1]);
  same(toxic.attributes, attributes);
  const late = await roundTrip(proxy.listen, "hello");
  assert.ok(late >= 115, `came back after ${late} ms`);
  same((await proxy.getToxic("slow")).attributes, attributes);
  const changed = await toxic.update({
    name: "slow", type: "latency", stream: "downstream", toxicity: 1, attributes: { latency: 1, jitter: 0 },
  });
  same(changed.attributes, { latency: 1, jitter: 0 });
  await changed.remove();
  await assert.rejects(proxy.getToxic("slow"));

  for (const [type, sent] of Object.entries({
    bandwidth: { rate: 1000 },
    slow_close: { delay: 5 },
    timeout: { timeout: 5 },
    reset_peer: { timeout: 5 },
    slicer: { average_size: 4, size_variation: 1, delay: 1 },
    limit_data: { bytes: 3 },
  })) {
    const one = await proxy.addToxic({ name: type, type, stream: "upstream", toxicity: 1, attributes: sent });
    same(one.attributes, sent);
    const ended = await roundTrip(proxy.listen, "hello");
    if (type === "timeout" || type === "limit_data") same(ended, "closed");
    else if (type === "reset_peer") same(ended, "ECONNRESET");
    else same(typeof ended, "number");
    await one.remove();
  }

  const off = await proxy.update({ enabled: false, listen: proxy.listen, upstream: target });
  same(off.enabled, false);
  same(await roundTrip(proxy.listen, "hello"), "ECONNREFUSED");
  await proxy.addToxic({ name: "t", type: "timeout", stream: "downstream", toxicity: 1, attributes: { timeout: 0 } });
  await client.reset();
  const healed = await client.get("echo");
  same(healed.enabled, true);
  await assert.rejects(healed.getToxic("t"));
  same(typeof (await roundTrip(healed.listen, "hello")), "number");

  const populated = await client.populate([
    { name: "one", listen: "127.0.0.1:0", upstream: target },
    { name: "two", listen: "127.0.0.1:0", upstream: target, enabled: false },
  ]);
  same(Object.keys(populated).sort(), ["one", "two"]);
  same(Object.keys(await client.getAll()).sort(), ["echo", "one", "two"]);
  await populated.one.remove();
  await assert.rejects(client.get("one"));

  upstream.close();
  console.log(`${checks} checks held`);
};

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);

// The work of bench_join, bench_sync and bench_store with a library of replicated documents, in memory:
//   node peer_documents.mjs LIBRARY --corpus FILE [--smoke] [--only PART]... [--list]
// FILE is what bench_corpus prints.
import { readFileSync } from "node:fs";
import { libraries, synchronize } from "./documents.mjs";

const [, , name, ...rest] = process.argv;
const options = { smoke: false, only: new Set(), corpus: null, list: false };
for (let i = 0; i < rest.length; ++i) {
  if (rest[i] === "--smoke") options.smoke = true;
  else if (rest[i] === "--list") options.list = true;
  else if (rest[i] === "--only") options.only.add(rest[++i]);
  else if (rest[i] === "--corpus") options.corpus = rest[++i];
  else usage();
}
const library = libraries[name];
if (!library || (!options.corpus && !options.list)) usage();

function usage() {
  console.error("Usage: node peer_documents.mjs " + Object.keys(libraries).join("|") +
                " --corpus FILE [--smoke] [--only PART]... [--list]");
  process.exit(2);
}

const size = (real, small) => (options.smoke ? small : real);
const seconds = (action) => {
  const begun = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - begun) / 1e9;
};
const require = (condition, what) => { if (!condition) throw new Error(what); };
const report = (bench, sizes, values, result) =>
  console.log(JSON.stringify({ bench, implementation: name, sizes, values, result: String(result) }));

let corpus = [];
const records = (first, count, prefix = "") =>
  corpus.slice(first, first + count).map((r) => (prefix ? { ...r, id: prefix + r.id } : r));

function filled(count) {
  const doc = library.make();
  for (let i = 0; i < count; i += 1000) doc.setMany(records(i, Math.min(1000, count - i)));
  return doc;
}

// A second document with the same history, as one that was synchronized.
function copyOf(doc) { return library.from ? library.from(doc) : library.make(doc.save()); }

const parts = {
  add() {
    const count = size(name === "yjs" ? 100_000 : 20_000, 500);
    const doc = library.make();
    const some = records(0, count);
    const spent = seconds(() => { for (const r of some) doc.set(r.id, r); });
    require(doc.count() === count, "records are missing");
    report("join/add", { records: count }, { per_s: count / spent }, count);
  },
  first_copy() {
    const count = size(100_000, 500);
    const doc = filled(count);
    let octets;
    const encoded = seconds(() => { octets = doc.save(); });
    let copy;
    const applied = seconds(() => { copy = library.make(octets); });
    const read = seconds(() => require(copy.scan() === count, "records are missing"));
    report("join/first_copy", { records: count },
           { encode_ms: encoded * 1e3, apply_ms: applied * 1e3, first_read_ms: read * 1e3, octets: octets.length,
             resident_mib: process.memoryUsage().rss / (1 << 20) }, count);
  },
  replicas() {
    const replicas = size(1_000, 20);
    const base = library.make();
    const saved = [];
    for (let i = 0; i < replicas; ++i) {
      const doc = library.from ? library.from(base) : library.make();
      doc.setMany(records(i * 10, 10));
      saved.push(doc.save());
    }
    const merged = library.from ? library.from(base) : library.make();
    const spent = seconds(() => { for (const octets of saved) merged.apply(octets); });
    require(merged.count() === replicas * 10, "records are missing");
    report("join/replicas", { replicas, records: replicas * 10 }, { ms: spent * 1e3 }, merged.count());
  },
  one_key() {
    const clients = size(1_540, 20);
    const base = library.make();
    const saved = [];
    for (let i = 0; i < clients; ++i) {
      const doc = library.from ? library.from(base) : library.make();
      doc.set("key", { text: "value " + i });
      saved.push(doc.save());
    }
    const merged = library.from ? library.from(base) : library.make();
    const spent = seconds(() => { for (const octets of saved) merged.apply(octets); });
    merged.set("key", { text: "resolved" });
    report("join/one_key", { clients }, { ms: spent * 1e3, octets_left: merged.save().length }, merged.count());
  },
  catch_up() {
    const count = size(100_000, 500);
    const one = filled(count);
    const other = copyOf(one);
    const fresh = [records(count, 100), records(count + 100, 100)];
    one.setMany(fresh[0]);
    other.setMany(fresh[1]);
    one.remove(records(0, 20).map((r) => r.id));
    other.remove(records(count - 20, 20).map((r) => r.id));
    for (const [bench, adds] of [["sync/catch_up", 100], ["sync/nothing_changed", 100]]) {
      let octets = 0;
      const spent = seconds(() => { octets = synchronize(one, other); });
      require(one.count() === count + 160 && other.count() === count + 160, "they differ");
      report(bench, { records: count, adds, removes: 20 }, { ms: spent * 1e3, octets }, one.count());
    }
  },
  open() {
    for (const [bench, count] of [["store/open_10000", size(10_000, 200)], ["store/open_100000", size(100_000, 500)]]) {
      const octets = filled(count).save();
      let found;
      const spent = seconds(() => { found = library.make(octets).get("record-" + (count >> 1)); });
      require(found, "the record is missing");
      report(bench, { records: count }, { ms: spent * 1e3, disk_octets: octets.length }, "read");
    }
  },
  reading() {
    const count = size(100_000, 500);
    const gets = size(200_000, 1_000);
    const doc = filled(count);
    let found = 0;
    const got = seconds(() => {
      for (let i = 0; i < gets; ++i) found += doc.get("record-" + ((i * 7919) % count)) ? 1 : 0;
    });
    require(found === gets, "records are missing");
    report("store/get", { records: count, gets }, { per_s: gets / got }, found);
    const scanned = seconds(() => { found = doc.scan(); });
    require(found === count, "records are missing");
    report("store/scan", { records: count }, { per_s: count / scanned }, found);
  },
  churn() {
    const kept = size(10_000, 500);
    const cycles = size(name === "automerge" || name === "loro" ? 20_000 : 100_000, 1_000);
    const batch = 500;
    const doc = filled(kept);
    const before = doc.save().length;
    const spent = seconds(() => {
      for (let i = 0; i < cycles; i += batch) {
        const at = (k) => corpus[k % corpus.length];
        const old = [], some = [];
        for (let k = i; k < i + batch; ++k) {
          old.push("record-" + k);
          some.push({ ...at(kept + k), id: "record-" + (kept + k) });
        }
        doc.remove(old);
        doc.setMany(some);
      }
    });
    require(doc.count() === kept, "records are missing");
    report("store/churn", { kept, cycles, batch },
           { per_s: cycles / spent, state_growth: doc.save().length / before }, doc.count());
  },
};

if (options.list) {
  for (const part in parts) console.log(part);
} else {
  corpus = readFileSync(options.corpus, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
  for (const part in parts) {
    if (options.only.size > 0 && !options.only.has(part)) continue;
    parts[part]();
  }
}

// One interface over four libraries of replicated documents. A document is a map from ids to records;
// each record is a plain value, as these libraries recommend for values that are not edited in parts.
import * as Automerge from "@automerge/automerge";
import { LoroDoc, VersionVector } from "loro-crdt";
import * as Y from "yjs";
import * as W from "ywasm";

class Yjs {
  constructor(saved) {
    this.doc = new Y.Doc();
    if (saved) this.apply(saved);
    this.map = this.doc.getMap("records");
  }
  set(id, record) { this.map.set(id, record); }
  setMany(records) { this.doc.transact(() => { for (const r of records) this.map.set(r.id, r); }); }
  remove(ids) { this.doc.transact(() => { for (const id of ids) this.map.delete(id); }); }
  get(id) { return this.map.get(id); }
  count() { return this.map.size; }
  scan() { let n = 0; this.map.forEach((r) => { n += r.text.length > 100 ? 1 : 0; }); return n; }
  save() { return Y.encodeStateAsUpdate(this.doc); }
  apply(octets) { Y.applyUpdate(this.doc, octets); }
  version() { return Y.encodeStateVector(this.doc); }
  since(version) { return Y.encodeStateAsUpdate(this.doc, version); }
  end() { this.doc.destroy(); }
}

class Ywasm {
  constructor(saved) {
    this.doc = new W.YDoc({});
    this.map = this.doc.getMap("records");
    if (saved) this.apply(saved);
  }
  set(id, record) { this.map.set(id, record); }
  transact(action) {
    const txn = this.doc.beginTransaction();
    try { action(txn); } finally { txn.commit(); txn.free(); }
  }
  setMany(records) { this.transact((txn) => { for (const r of records) this.map.set(r.id, r, txn); }); }
  remove(ids) { this.transact((txn) => { for (const id of ids) this.map.delete(id, txn); }); }
  get(id) { return this.map.get(id); }
  count() { return this.map.length(); }
  scan() {
    let n = 0;
    const all = this.map.toJson();
    for (const id in all) n += all[id].text.length > 100 ? 1 : 0;
    return n;
  }
  save() { return W.encodeStateAsUpdate(this.doc); }
  apply(octets) { W.applyUpdate(this.doc, octets); }
  version() { return W.encodeStateVector(this.doc); }
  since(version) { return W.encodeStateAsUpdate(this.doc, version); }
  end() { this.doc.free(); }
}

class Loro {
  constructor(saved) {
    this.doc = new LoroDoc();
    if (saved) this.doc.import(saved);
    this.map = this.doc.getMap("records");
  }
  set(id, record) { this.map.set(id, record); this.doc.commit(); }
  setMany(records) { for (const r of records) this.map.set(r.id, r); this.doc.commit(); }
  remove(ids) { for (const id of ids) this.map.delete(id); this.doc.commit(); }
  get(id) { return this.map.get(id); }
  count() { return this.map.size; }
  scan() { let n = 0; for (const r of this.map.values()) n += r.text.length > 100 ? 1 : 0; return n; }
  save() { return this.doc.export({ mode: "snapshot" }); }
  apply(octets) { this.doc.import(octets); }
  version() { return this.doc.version().encode(); }
  since(version) { return this.doc.export({ mode: "update", from: VersionVector.decode(version) }); }
  end() { this.doc.free(); }
}

// Automerge copies every map that a change touches, so the records lie on many shelves: with one map of 20,000 it
// takes 100 changes/s.
const shelves = 256;
function shelfOf(id) {
  let hash = 0;
  for (let i = 0; i < id.length; ++i) hash = (hash * 31 + id.charCodeAt(i)) | 0;
  return (hash >>> 0) % shelves;
}

// Automerge's own sync protocol needs several messages each way; it is driven here until both are quiet.
class AutomergeDocument {
  constructor(saved) {
    this.doc = saved ? Automerge.load(saved) : Automerge.init();
    if (saved) return;
    this.doc = Automerge.change(this.doc, { time: 0 }, (d) => {
      d.records = {};
      for (let i = 0; i < shelves; ++i) d.records[i] = {};
    });
  }
  static from(base) {
    const one = Object.create(AutomergeDocument.prototype);
    one.doc = Automerge.clone(base.doc);
    return one;
  }
  set(id, record) { this.doc = Automerge.change(this.doc, (d) => { d.records[shelfOf(id)][id] = record; }); }
  setMany(records) { this.doc = Automerge.change(this.doc, (d) => { for (const r of records) d.records[shelfOf(r.id)][r.id] = r; }); }
  remove(ids) { this.doc = Automerge.change(this.doc, (d) => { for (const id of ids) delete d.records[shelfOf(id)][id]; }); }
  get(id) { return this.doc.records[shelfOf(id)][id]; }
  count() { return Object.values(this.doc.records).reduce((sum, shelf) => sum + Object.keys(shelf).length, 0); }
  scan() {
    let n = 0;
    for (const shelf of Object.values(this.doc.records)) {
      for (const id in shelf) n += shelf[id].text.length > 100 ? 1 : 0;
    }
    return n;
  }
  save() { return Automerge.save(this.doc); }
  apply(octets) { this.doc = Automerge.loadIncremental(this.doc, octets); }
  end() { Automerge.free(this.doc); }
}

// One round between two documents; returns the octets that travelled.
export function synchronize(one, other) {
  if (one instanceof AutomergeDocument) {
    let octets = 0;
    let states = [one.peer ?? Automerge.initSyncState(), other.peer ?? Automerge.initSyncState()];
    for (let quiet = false; !quiet;) {
      quiet = true;
      for (const [from, to, k] of [[one, other, 0], [other, one, 1]]) {
        const [state, message] = Automerge.generateSyncMessage(from.doc, states[k]);
        states[k] = state;
        if (!message) continue;
        quiet = false;
        octets += message.length;
        const [doc, received] = Automerge.receiveSyncMessage(to.doc, states[1 - k], message);
        to.doc = doc;
        states[1 - k] = received;
      }
    }
    return octets;
  }
  const versions = [one.version(), other.version()];
  const updates = [one.since(versions[1]), other.since(versions[0])];
  other.apply(updates[0]);
  one.apply(updates[1]);
  return versions[0].length + versions[1].length + updates[0].length + updates[1].length;
}

export const libraries = {
  yjs: { make: (saved) => new Yjs(saved) },
  ywasm: { make: (saved) => new Ywasm(saved) },
  loro: { make: (saved) => new Loro(saved) },
  automerge: { make: (saved) => new AutomergeDocument(saved), from: (base) => AutomergeDocument.from(base) },
};

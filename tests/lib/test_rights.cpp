// A store of a federation with a registry: who may write, what of others comes in, and what is governed.
#include <doctest/doctest.h>

#include "lib/governed.hpp"
#include "lib/store_source.hpp"
#include "tests/lib/signed_store.hpp"
#include "transport/frame.hpp"

namespace loam {
namespace {

using test::id_of;
using test::set_segment;
using test::SignedStore;
using test::signing_key;

const std::string rules = "approval_rules";

struct Rights {
  std::string lessons;
  std::string rules;
  InstanceRole role = InstanceRole::member;
};

/// A federation: its founder, and stores of others.
struct Realm {
  SigningKey founder_key = signing_key(1);
  FederationRoot root{founder_key.public_key(), {}};
  SignedStore founder{founder_key, root};

  Realm() { admit(founder, founder_key, {"rw", "rwtl", InstanceRole::governor}); }

  static void admit(SignedStore& governor, const SigningKey& key, const Rights& rights,
                    InstanceStatus status = InstanceStatus::active, Fence fence = {}) {
    InstanceEntry entry{.name = "name", .key = key.public_key(), .endpoints = {}, .role = rights.role,
                        .permissions = {}, .status = status, .fence = std::move(fence)};
    if (!rights.lessons.empty()) entry.permissions[set_segment] = *Permissions::parse(rights.lessons);
    if (!rights.rules.empty()) entry.permissions[rules] = *Permissions::parse(rights.rules);
    governor.write([&](SharedBatch& batch) {
      batch.put(governor.shared.number(std::string(registry_name)), instance_of(key.public_key()).text(), encode(entry));
    });
  }
};

/// All that a store has of a segment, as it would be sent.
std::vector<DeltaFrame> all_of(const SignedStore& store, const std::string& segment) {
  const StoreSource source(store.shared);
  std::vector<DeltaFrame> frames;
  for (const ActorState& actor : source.actors(segment, {}, 1'000)) {
    Slice slice = source.slice(segment, actor.actor, actor.covered, 1'000'000, 10'000);
    DeltaFrame frame{.index = 0, .upto = {}, .delta = std::move(slice.delta), .authors = std::move(slice.authors),
                     .batches = std::move(slice.batches)};
    frames.push_back(std::get<DeltaFrame>(decode_frame(encode_frame(frame))));
  }
  return frames;
}

SharedBatch::LeftOut take(SignedStore& store, const std::string& segment, const std::vector<DeltaFrame>& frames,
                          const SigningKey& peer) {
  SharedBatch::LeftOut left_out;
  store.write([&](SharedBatch& batch) {
    for (const DeltaFrame& frame : frames) {
      (void)batch.join(store.shared.number(segment), frame.delta, frame.authors, frame.batches, id_of<StoreId>(5),
                       instance_of(peer.public_key()));
    }
    left_out = batch.take_left_out();
  });
  return left_out;
}

SharedBatch::LeftOut pull(SignedStore& to, const SignedStore& from, const std::string& segment) {
  const auto frames = all_of(from, segment);
  const auto left_out = take(to, segment, frames, from.shared.signing_key());
  // A part may rest on one that followed it.
  return left_out.parked > 0 ? take(to, segment, frames, from.shared.signing_key()) : left_out;
}

Roots roots_of(const SignedStore& store, const std::string& segment) {
  return store.shared.read(
      [&](const SharedReader& reader) { return reader.segment(store.shared.number(segment)).state.roots; });
}

std::uint64_t records_of_segment(const SignedStore& store, const std::string& segment) {
  return store.shared.read(
      [&](const SharedReader& reader) { return reader.segment(store.shared.number(segment)).records; });
}

std::string rule(const SignedStore& store, const std::string& key) {
  return store.shared.read([&](const SharedReader& reader) -> std::string {
    const SegmentNumber number = store.shared.number(rules);
    const auto standing = standing_dots(reader, *store.shared.registry(reader), store.shared.place(number), number,
                                        reader.dots_of(number, key));
    std::string text;
    for (const StoredDot& dot : standing) {
      const MapRecord record = decode_map_record(dot.record);
      text += record.value ? *decode(*record.value).get<std::string>() + " " : "- ";
    }
    return text;
  });
}

void put_rule(SignedStore& store, const std::string& key, const std::string& value) {
  store.write([&](SharedBatch& batch) {
    batch.put(store.shared.number(rules), key, encode(Value(value)));
  });
}

TEST_CASE("the founder of a federation governs it, and a stranger writes nothing") {
  Realm realm;
  realm.founder.add(2);
  put_rule(realm.founder, "deploy", "ask");
  CHECK(realm.founder.is_sound());
  SignedStore stranger(signing_key(9), realm.root);
  CHECK(test::error_of([&] { stranger.add(1); })->code() == ErrorCode::denied);
  pull(stranger, realm.founder, std::string(registry_name));
  CHECK(test::error_of([&] { stranger.add(1); })->code() == ErrorCode::denied);
  CHECK(records_of_segment(stranger, set_segment) == 0);
}

TEST_CASE("who may write does, who may only read is refused, and a relay adds nothing") {
  Realm realm;
  SignedStore writer(signing_key(2), realm.root);
  SignedStore reader(signing_key(3), realm.root);
  realm.admit(realm.founder, signing_key(2), {"rw", "r"});
  realm.admit(realm.founder, signing_key(3), {"r", "r"});
  for (SignedStore* each : {&writer, &reader}) pull(*each, realm.founder, std::string(registry_name));
  writer.add(20);
  CHECK(test::error_of([&] { reader.add(1); })->code() == ErrorCode::denied);
  CHECK(test::error_of([&] { put_rule(writer, "deploy", "never ask"); })->code() == ErrorCode::denied);

  CHECK(pull(reader, writer, set_segment).refused == 0);
  CHECK(pull(realm.founder, reader, set_segment).refused == 0);  // over a relay that may not write
  CHECK(records_of_segment(realm.founder, set_segment) == 20);
  CHECK(roots_of(realm.founder, set_segment) == roots_of(writer, set_segment));
  CHECK(realm.founder.is_sound());
}

TEST_CASE("records of somebody who is not known yet wait until the registry names him") {
  Realm realm;
  SignedStore writer(signing_key(2), realm.root);
  SignedStore reader(signing_key(3), realm.root);
  pull(reader, realm.founder, std::string(registry_name));
  realm.admit(realm.founder, signing_key(2), {"rw", ""});
  pull(writer, realm.founder, std::string(registry_name));
  writer.add(3);
  const auto left_out = pull(reader, writer, set_segment);
  CHECK(left_out.parked == 3);
  CHECK(left_out.refused == 0);
  CHECK(roots_of(reader, set_segment) == Roots{});  // nothing is claimed of what is still to come
  pull(reader, writer, std::string(registry_name));
  CHECK(pull(reader, writer, set_segment).parked == 0);
  CHECK(roots_of(reader, set_segment) == roots_of(writer, set_segment));
}

TEST_CASE("nothing comes in that is not as its author has signed it") {
  Realm realm;
  SignedStore writer(signing_key(2), realm.root);
  realm.admit(realm.founder, signing_key(2), {"rw", ""});
  pull(writer, realm.founder, std::string(registry_name));
  const auto elements = writer.add(6);
  writer.write([&](SharedBatch& batch) { batch.remove(writer.set, elements[4]); });
  const DeltaFrame good = all_of(writer, set_segment).at(0);
  const ActorId actor = good.authors.begin()->first;
  const std::vector<std::pair<const char*, std::function<void(DeltaFrame&)>>> forgeries{
      {"another content", [&](DeltaFrame& frame) { frame.delta.live.at({actor, 2}).back() ^= std::byte{1}; }},
      {"another signature", [&](DeltaFrame& frame) { frame.batches.at(actor)[0].signature.bytes[5] ^= std::byte{1}; }},
      {"no signature", [&](DeltaFrame& frame) { frame.batches.clear(); }},
      {"another frontier", [&](DeltaFrame& frame) { frame.batches.at(actor)[0].frontier.clear(); }},
      {"another rest", [&](DeltaFrame& frame) { frame.batches.at(actor)[0].rest[0].bytes[0] ^= std::byte{1}; }},
      {"no rest", [&](DeltaFrame& frame) { frame.batches.at(actor)[0].rest.clear(); }},
      {"another count", [&](DeltaFrame& frame) { ++frame.batches.at(actor)[0].count; }},
      {"superseding", [&](DeltaFrame& frame) { frame.batches.at(actor)[0].superseded.insert(Dot{actor, 1}); }},
      {"another author", [&](DeltaFrame& frame) { frame.authors.at(actor).author = id_of<InstanceId>(77); }},
      {"another nonce", [&](DeltaFrame& frame) { frame.authors.at(actor).nonce[0] ^= std::byte{1}; }},
  };
  for (const auto& forgery : forgeries) {
    CAPTURE(forgery.first);
    DeltaFrame frame = good;
    forgery.second(frame);
    const auto left_out = take(realm.founder, set_segment, {frame}, signing_key(2));
    CHECK(left_out.refused >= 5);
    CHECK(left_out.parked == 0);
    CHECK(records_of_segment(realm.founder, set_segment) == 0);
  }
  CHECK(take(realm.founder, set_segment, {good}, signing_key(2)).refused == 0);
  CHECK(records_of_segment(realm.founder, set_segment) == 5);
  // A batch of one segment is no batch of another.
  CHECK(take(realm.founder, "org_patterns", {good}, signing_key(2)).refused == 6);  // and a removal
  CHECK(realm.founder.is_sound());
}

TEST_CASE("only a peer who may write is believed that records are gone") {
  Realm realm;
  SignedStore writer(signing_key(2), realm.root);
  SignedStore reader(signing_key(3), realm.root);
  realm.admit(realm.founder, signing_key(2), {"rw", ""});
  realm.admit(realm.founder, signing_key(3), {"r", ""});
  for (SignedStore* each : {&writer, &reader}) pull(*each, realm.founder, std::string(registry_name));
  const auto elements = writer.add(4);
  pull(realm.founder, writer, set_segment);
  writer.write([&](SharedBatch& batch) { batch.remove(writer.set, elements[1]); });
  const auto frames = all_of(writer, set_segment);
  take(realm.founder, set_segment, frames, signing_key(3));
  CHECK(records_of_segment(realm.founder, set_segment) == 4);
  take(realm.founder, set_segment, frames, signing_key(2));
  CHECK(records_of_segment(realm.founder, set_segment) == 3);
  CHECK(realm.founder.is_sound());
}

TEST_CASE("what a comparison found to be gone comes without claims, and goes") {
  Realm realm;
  SignedStore writer(signing_key(2), realm.root);
  realm.admit(realm.founder, signing_key(2), {"rw", ""});
  pull(writer, realm.founder, std::string(registry_name));
  writer.add(4);
  pull(realm.founder, writer, set_segment);
  DeltaFrame gone{.index = 0, .upto = {}, .delta = {}, .authors = {}, .batches = {}};
  gone.delta.context.insert(Dot{all_of(writer, set_segment).at(0).authors.begin()->first, 2});
  CHECK(take(realm.founder, set_segment, {gone}, signing_key(2)).refused == 0);
  CHECK(records_of_segment(realm.founder, set_segment) == 3);
  CHECK(realm.founder.is_sound());
}

TEST_CASE("an assignment of a governed segment supersedes and removes nothing, and silence removes nothing") {
  Realm realm;
  SignedStore other(signing_key(2), realm.root);
  realm.admit(realm.founder, signing_key(2), {"rw", "rwtl"});
  pull(other, realm.founder, std::string(registry_name));
  put_rule(realm.founder, "deploy", "ask");
  put_rule(realm.founder, "deploy", "never");
  CHECK(rule(realm.founder, "deploy") == "never ");
  CHECK(records_of_segment(realm.founder, rules) == 2);
  pull(other, realm.founder, rules);
  CHECK(rule(other, "deploy") == "never ");
  put_rule(other, "deploy", "always");
  put_rule(realm.founder, "deploy", "ask twice");
  pull(other, realm.founder, rules);
  pull(realm.founder, other, rules);
  CHECK(rule(other, "deploy") == rule(realm.founder, "deploy"));
  CHECK(roots_of(other, rules) == roots_of(realm.founder, rules));
  CHECK(records_of_segment(other, rules) == 4);
  // Whoever claims that all this is covered and dead is not believed, whatever he may.
  std::vector<DeltaFrame> silent = all_of(other, rules);
  for (DeltaFrame& frame : silent) {
    frame.delta.live.clear();
    frame.batches.clear();
  }
  take(realm.founder, rules, silent, signing_key(2));
  CHECK(records_of_segment(realm.founder, rules) == 4);
  CHECK(realm.founder.is_sound());
}

TEST_CASE("an assignment may come before the one that it supersedes, of which nothing is known yet") {
  Realm realm;
  SignedStore other(signing_key(2), realm.root);
  SignedStore reader(signing_key(3), realm.root);
  SignedStore last(signing_key(4), realm.root);
  realm.admit(realm.founder, signing_key(2), {"", "rwtl"});
  for (SignedStore* each : {&other, &reader, &last}) pull(*each, realm.founder, std::string(registry_name));
  realm.founder.shared.renew_actor();  // so that no other segment tells of it
  put_rule(realm.founder, "deploy", "first");
  const auto first = all_of(realm.founder, rules);
  pull(other, realm.founder, rules);
  put_rule(other, "deploy", "second");
  std::vector<DeltaFrame> second = all_of(other, rules);
  std::erase_if(second, [&](const DeltaFrame& frame) { return frame.authors == first.at(0).authors; });
  REQUIRE(second.size() == 1);
  CHECK(take(reader, rules, second, signing_key(2)).refused == 0);
  CHECK(rule(reader, "deploy") == "second ");
  CHECK(take(reader, rules, first, signing_key(2)).refused == 0);
  CHECK(rule(reader, "deploy") == "second ");
  CHECK(roots_of(reader, rules) == roots_of(other, rules));
  CHECK(pull(last, reader, rules).refused == 0);
  CHECK(rule(last, "deploy") == "second ");
  for (const SignedStore* each : {&reader, &last}) CHECK(each->is_sound());
}

TEST_CASE("what a revoked governor wrote beyond what was seen is void, wherever it arrives") {
  Realm realm;
  SignedStore other(signing_key(2), realm.root);
  realm.admit(realm.founder, signing_key(2), {"rw", "rwtl", InstanceRole::governor});
  pull(other, realm.founder, std::string(registry_name));
  put_rule(other, "deploy", "seen");
  pull(realm.founder, other, rules);
  Fence fence;
  for (const DeltaFrame& frame : all_of(other, rules)) fence[rules].insert(frame.delta.context);
  put_rule(other, "deploy", "unseen");
  realm.admit(other, signing_key(7), {"rw", "rwtl"});  // and lets somebody in
  realm.admit(realm.founder, signing_key(2), {}, InstanceStatus::revoked, fence);
  for (const std::string& segment : {std::string(registry_name), rules}) {
    pull(other, realm.founder, segment);
    CHECK(pull(realm.founder, other, segment).refused == 0);
  }
  CHECK(roots_of(other, rules) == roots_of(realm.founder, rules));
  CHECK(rule(realm.founder, "deploy") == "seen ");
  CHECK(rule(other, "deploy") == "seen ");
  CHECK_FALSE(realm.founder.shared.registry()->find(instance_of(signing_key(7).public_key())));
  CHECK(test::error_of([&] { other.add(1); })->code() == ErrorCode::denied);
}

// Whoever learns of it sooner or later holds the same, or they would differ for ever.
TEST_CASE("what somebody wrote whom a revoked governor let in unseen is the same everywhere, and void") {
  Realm realm;
  const std::string registry(registry_name);
  SignedStore evil(signing_key(2), realm.root);
  SignedStore puppet(signing_key(3), realm.root);
  SignedStore early(signing_key(4), realm.root);
  SignedStore late(signing_key(5), realm.root);
  for (const SignedStore* each : {&early, &late}) realm.admit(realm.founder, each->shared.signing_key(), {"rw", "rwtl"});
  realm.admit(realm.founder, signing_key(2), {"rw", "rwtl", InstanceRole::governor});
  for (SignedStore* each : {&evil, &early, &late}) pull(*each, realm.founder, registry);
  realm.admit(evil, signing_key(3), {"rw", "rwtl"});
  pull(puppet, evil, registry);
  puppet.add(2);
  put_rule(puppet, "deploy", "always");
  for (const std::string& segment : {registry, std::string(set_segment), rules}) {
    CHECK(pull(early, puppet, segment).refused == 0);
  }
  CHECK(rule(early, "deploy") == "always ");
  realm.admit(realm.founder, signing_key(2), {}, InstanceStatus::revoked);  // had not seen the puppet
  pull(late, realm.founder, registry);
  pull(early, realm.founder, registry);
  for (const std::string& segment : {registry, std::string(set_segment), rules}) {
    const auto left_out = pull(late, early, segment);
    CHECK(left_out.refused + left_out.parked == 0);
    CHECK(roots_of(late, segment) == roots_of(early, segment));
  }
  for (const SignedStore* each : {&early, &late}) {
    CHECK(rule(*each, "deploy").empty());
    ElementId last;
    last.bytes.fill(std::byte{255});
    const auto elements = each->shared.read(
        [&](const SharedReader& reader) { return reader.elements_between(each->set, {}, last, 10); });
    CHECK(elements.empty());
    CHECK(records_of_segment(*each, set_segment) == 2);
    CHECK(each->is_sound());
  }
}

TEST_CASE("what is written after a change of the registry in the same commit says that its author had seen it") {
  Realm realm;
  InstanceEntry entry{.name = "name", .key = signing_key(2).public_key(), .endpoints = {}, .role = InstanceRole::member,
                      .permissions = {}, .fence = {}};
  realm.founder.write([&](SharedBatch& batch) {
    batch.add(realm.founder.set, test::content_of("before"), test::meta_of(""));
    batch.put(realm.founder.shared.number(std::string(registry_name)), instance_of(entry.key).text(), encode(entry));
    batch.add(realm.founder.set, test::content_of("after"), test::meta_of(""));
  });
  std::vector<Batch> of_lessons;
  for (const auto& found : realm.founder.batches()) {
    if (found.batch->segment == set_segment) of_lessons.push_back(*found.batch);
  }
  REQUIRE(of_lessons.size() == 2);
  CHECK(of_lessons[0].frontier != of_lessons[1].frontier);
  CHECK(of_lessons[1].frontier == realm.founder.shared.registry()->frontier());
  CHECK(realm.founder.is_sound());
}

TEST_CASE("a revocation has seen what came with its own commit") {
  Realm realm;
  SignedStore other(signing_key(2), realm.root);
  realm.admit(realm.founder, signing_key(2), {"rw", ""});
  pull(other, realm.founder, std::string(registry_name));
  other.add(3);
  const InstanceId id = instance_of(signing_key(2).public_key());
  Fence fence;
  realm.founder.write([&](SharedBatch& batch) {
    for (const DeltaFrame& frame : all_of(other, set_segment)) {
      (void)batch.join(realm.founder.set, frame.delta, frame.authors, frame.batches, id_of<StoreId>(5), id);
    }
    fence = batch.fence_of(id);
  });
  REQUIRE(fence.contains(set_segment));
  CHECK(fence.at(set_segment).count() == 3);
}

TEST_CASE("a rule that came with the same commit has a value, and can be erased") {
  Realm realm;
  SignedStore other(signing_key(2), realm.root);
  realm.admit(realm.founder, signing_key(2), {"rw", "rwtl"});
  pull(other, realm.founder, std::string(registry_name));
  put_rule(other, "deploy", "ask");
  const SegmentNumber number = realm.founder.shared.number(rules);
  realm.founder.write([&](SharedBatch& batch) {
    for (const DeltaFrame& frame : all_of(other, rules)) {
      (void)batch.join(number, frame.delta, frame.authors, frame.batches, id_of<StoreId>(5),
                       instance_of(signing_key(2).public_key()));
    }
    CHECK(batch.put(number, "deploy", std::nullopt));
  });
  CHECK(rule(realm.founder, "deploy") == "- ");
}

}  // namespace
}  // namespace loam

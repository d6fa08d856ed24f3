#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "crdt/actor_claim.hpp"
#include "crdt/admission.hpp"
#include "lib/config.hpp"
#include "lib/damage.hpp"
#include "lib/registry_rows.hpp"
#include "lib/segment.hpp"
#include "lib/shared_batch.hpp"
#include "lib/signing_key.hpp"
#include "lib/store_identity.hpp"

namespace loam {

/// The shared environment of one instance: the replicated segments, their contexts and journals, and
/// what is known of peers. Reads are safe from any thread; batches belong to the writer thread.
class SharedStore {
 public:
  /// Opens it, or makes it when `fresh` is given and there is none. Throws Error(not_found) when there
  /// is none, Error(invalid) when a segment changed its kind, Error(damaged) for a newer format. What is written is signed with the key, if there is one.
  SharedStore(const std::filesystem::path& dir, const SegmentTable& segments, const Config& config,
              const InstanceId& instance, const std::optional<StoreIdentity>& fresh, SigningKey key = {});

  const InstanceId& instance() const noexcept { return instance_; }
  const StoreIdentity& identity() const noexcept { return identity_; }
  const StoreId& id() const noexcept { return id_; }
  const SigningKey& signing_key() const noexcept { return key_; }
  lmdb::Env& env() const noexcept { return *env_; }

  /// The number of a shared segment. The name is declared.
  SegmentNumber number(const std::string& segment) const { return numbers_by_name_.at(segment); }
  const std::string& name(SegmentNumber number) const { return names_by_number_.at(number); }
  const std::vector<SegmentNumber>& numbers() const noexcept { return numbers_; }
  std::uint64_t journal_entries_max() const noexcept { return journal_entries_max_; }

  /// The actor of this writable session, minted at its first write (crdt/actor_claim.hpp) and never resumed.
  /// Writer thread only.
  const ActorId& own_actor(std::int64_t now_ms);

  /// The same; a new one when the store has another number of quarantines than it was minted under.
  const ActorId& own_actor(std::int64_t now_ms, std::uint64_t quarantines);

  /// The actor of this session, if it has written and goes on under it. Writer thread only.
  std::optional<ActorId> live_actor(std::uint64_t quarantines) const {
    return quarantines == quarantines_ ? actor_ : std::nullopt;
  }

  /// The claim of `own_actor`. Writer thread only.
  const ActorClaim& own_claim() const noexcept { return claim_; }

  /// Gives this session's actor up: the next write goes on under a new one. Writer thread only.
  void renew_actor() noexcept { actor_.reset(); }

  /// The registry of the federation as of the reader's snapshot; null: its id proves nothing, so nobody's rights are
  /// asked. Any thread.
  std::shared_ptr<const Registry> registry(const SharedReader& reader) const {
    return registry_ ? registry_->of(reader) : nullptr;
  }
  std::shared_ptr<const Registry> registry(const SharedReader& reader, const Fingerprint& live) const {
    return registry_ ? registry_->of(reader, live) : nullptr;
  }
  std::shared_ptr<const Registry> registry() const;

  /// Where batches of a segment are admitted.
  AdmissionPlace place(SegmentNumber segment) const;

  /// Where reads note the records that they could not read. Any thread.
  DamageLog& damage() const noexcept { return damage_; }

  JournalId new_journal_id() const;

  /// The pending part of the element index as the transaction sees it. Writer thread only; before the
  /// transaction has changed it.
  const PendingIndex& followed_pending(const lmdb::ReadTxn& txn) {
    pending_.follow(txn);
    return pending_;
  }

  /// Runs `body` on a SharedReader in one snapshot.
  template <class Body>
  auto read(Body&& body) const {
    return env_->read([&](const lmdb::ReadTxn& txn) {
      SharedReader reader(txn, readers_pending_);
      if (registry_) reader.hide_void(registry_->fences(reader), governed_);
      return body(reader);
    });
  }

 private:
  void found(lmdb::WriteTxn& txn, const std::optional<StoreIdentity>& fresh);
  void declare(lmdb::WriteTxn& txn, const SegmentTable& segments);
  bool load(const SegmentTable& segments);
  Bytes file_identity() const;

  std::shared_ptr<lmdb::Env> env_;
  InstanceId instance_;
  StoreIdentity identity_;
  StoreId id_;
  std::uint64_t journal_entries_max_;
  std::map<std::string, SegmentNumber> numbers_by_name_;
  std::map<SegmentNumber, std::string> names_by_number_;
  std::vector<SegmentNumber> numbers_;
  std::set<SegmentNumber> governed_;
  std::unique_ptr<const RegistryCache> registry_;
  SigningKey key_;
  std::optional<ActorId> actor_;
  ActorClaim claim_;
  std::uint64_t quarantines_ = 0;  ///< when the actor was minted
  mutable DamageLog damage_;
  PendingIndex pending_;  ///< of the writer, which sees what it has not committed yet
  SharedPendingIndex readers_pending_;
};

}  // namespace loam

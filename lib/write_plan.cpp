#include "lib/write_plan.hpp"

#include <sodium.h>

#include <atomic>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/rule_write.hpp"

namespace loam {
namespace {

// Both jobs of one call, shared by them until both have ended.
struct Call {
  std::vector<PlannedWrite> writes;
  std::vector<Receipt> receipts;
  std::atomic<int> open{0};
  std::mutex mutex;
  std::exception_ptr failure;
  WritesDone done;

  void end(std::exception_ptr how) {
    if (how) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = how;
    }
    if (--open == 0) done(std::move(receipts), failure);
  }
};

Receipt receipt_for(const PlannedWrite& write, std::string id, bool existing) {
  const bool is_shared = write.segment->scope == Scope::shared;
  return {std::move(id), write.segment->name, write.segment->scope,
          is_shared ? TargetKind::shared_replica : TargetKind::private_store, existing};
}

Receipt write_shared(const WriteStores& stores, SharedBatch& batch, const PlannedWrite& write) {
  const SegmentNumber number = stores.shared.number(write.segment->name);
  if (write.given_id) {
    if (auto earlier = batch.receipt_of(*write.given_id)) {
      return receipt_for(write, std::move(*earlier), true);
    }
  }
  Receipt receipt;
  if (write.segment->kind == Kind::set) {
    const auto result = batch.add(number, write.parts.content, write.parts.meta);
    receipt = receipt_for(write, result.element.text(), result.existing);
  } else if (holds_rules(*write.segment)) {
    const bool existing = assign_rule(batch, number, *write.segment, stores.shared.place(number),
                                      stores.shared.instance(), write.key, decode(write.value));
    receipt = receipt_for(write, write.key, existing);
  } else {
    receipt = receipt_for(write, write.key, batch.put(number, write.key, write.value));
  }
  if (write.given_id) batch.remember_packet(*write.given_id, receipt.id);
  return receipt;
}

Receipt write_private(const WriteStores& stores, PrivateBatch& batch, const PlannedWrite& write) {
  const SegmentNumber number = stores.priv.number(write.segment->name);
  const std::int64_t now = stores.now_ms();
  if (write.given_id) {
    if (auto earlier = batch.receipt_of(*write.given_id)) {
      return receipt_for(write, std::move(*earlier), true);
    }
  }
  Receipt receipt;
  if (write.segment->kind == Kind::map) {
    receipt = receipt_for(write, write.key, batch.put(number, write.key, write.value, now));
  } else {
    const SetRecord record{Clock().next(now), write.parts.content, write.parts.meta};
    const bool is_new = batch.add(number, PrivateRecord{write.id, encode(record)});
    receipt = receipt_for(write, write.id.text(), !is_new);
  }
  if (write.given_id) batch.remember_packet(*write.given_id, receipt.id);
  return receipt;
}

std::size_t octets_of(const PlannedWrite& write) {
  return write.parts.content.size() + write.parts.meta.size() + write.value.size() + 256;
}

}  // namespace

PacketId mint_packet_id(std::int64_t now_ms) {
  PacketId id;
  randombytes_buf(id.bytes.data(), id.bytes.size());
  std::array<std::byte, 8> birth{};
  store_u64(birth.data(), Hlc::at_ms(now_ms).value);
  std::copy_n(birth.begin(), 6, id.bytes.begin());
  return id;
}

WriteStores stores_of(const Core& core) {
  return {core.segments, core.shared, core.priv, core.options.now_ms};
}

PlannedWrite plan_write(const WriteStores& stores, PacketEnvelope packet) {
  PlannedWrite write;
  write.segment = &segment_of(packet, stores.segments);
  check_packet(packet, *write.segment);
  write.given_id = packet.packet_id;
  if (write.given_id) {
    write.id = *write.given_id;
  } else if (write.segment->scope == Scope::priv) {
    write.id = mint_packet_id(stores.now_ms());
  }
  if (write.segment->kind == Kind::set) {
    write.parts = parts_of(packet, *write.segment, {});
  } else {
    MapPayload payload = map_payload(packet);
    check_key(payload.key);
    write.key = std::move(payload.key);
    write.value = value_octets(payload.value);
  }
  return write;
}

std::vector<Job> write_jobs(const WriteStores& stores, std::vector<PlannedWrite> writes,
                            WritesDone done) {
  const auto call = std::make_shared<Call>();
  call->writes = std::move(writes);
  call->done = std::move(done);
  Job shared;
  Job priv;
  for (const PlannedWrite& write : call->writes) {
    const bool is_shared = write.segment->scope == Scope::shared;
    (is_shared ? shared : priv).octets += octets_of(write);
  }
  std::vector<Job> jobs;
  const auto end = [call](std::exception_ptr failure) { call->end(failure); };
  if (shared.octets > 0) {
    shared.shared = [call, stores](SharedBatch& batch) {
      call->receipts.resize(call->writes.size());
      for (std::size_t i = 0; i < call->writes.size(); ++i) {
        const PlannedWrite& write = call->writes[i];
        if (write.segment->scope != Scope::shared) continue;
        call->receipts[i] = write_shared(stores, batch, write);
      }
    };
    shared.done = end;
    jobs.push_back(std::move(shared));
  }
  if (priv.octets > 0) {
    priv.priv = [call, stores](PrivateBatch& batch) {
      call->receipts.resize(call->writes.size());
      for (std::size_t i = 0; i < call->writes.size(); ++i) {
        const PlannedWrite& write = call->writes[i];
        if (write.segment->scope != Scope::priv) continue;
        call->receipts[i] = write_private(stores, batch, write);
      }
    };
    priv.done = end;
    jobs.push_back(std::move(priv));
  }
  call->open = static_cast<int>(jobs.size());
  if (jobs.empty()) call->done({}, nullptr);
  return jobs;
}

void submit_writes(Core& core, std::vector<PlannedWrite> writes, WritesDone done, Caller caller) {
  std::vector<Job> jobs = write_jobs(stores_of(core), std::move(writes), std::move(done));
  if (caller == Caller::waits) return core.queue.submit_and_wait(std::move(jobs));
  for (Job& job : jobs) core.queue.submit(std::move(job), CommitQueue::Full::block);
}

void run_job(Core& core, Job job) {
  // Shared: the writer thread may still be inside set_value when the wait here ends.
  const auto ended = std::make_shared<std::promise<void>>();
  job.done = [ended](std::exception_ptr failure) {
    failure ? ended->set_exception(failure) : ended->set_value();
  };
  std::vector<Job> jobs;
  jobs.push_back(std::move(job));
  core.queue.submit_and_wait(std::move(jobs));
  ended->get_future().get();
}

}  // namespace loam

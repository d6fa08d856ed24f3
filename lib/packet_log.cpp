#include "lib/packet_log.hpp"

#include "lib/layout.hpp"

namespace loam {

std::optional<std::string> PacketLog::receipt_of(const lmdb::ReadTxn& txn,
                                                 const PacketId& packet) const {
  const auto row = txn.get(packets, packet.view());
  if (!row) return std::nullopt;
  return std::string(text_of(*row));
}

void PacketLog::remember(lmdb::WriteTxn& txn, const PacketId& packet,
                         const std::string& receipt_id) const {
  txn.put(packets, packet.view(), bytes_of(receipt_id));
  lmdb::Cursor last = txn.cursor(order);
  const std::uint64_t next = last.last() ? load_u64(last.key().data()) + 1 : 1;
  txn.put(order, TableKey().u64(next), packet.view());
  if (txn.count(order) <= packets_max) return;
  lmdb::Cursor oldest = txn.cursor(order);
  if (!oldest.first()) return;
  const Bytes key = copy_of(oldest.key());
  const Bytes forgotten = copy_of(oldest.value());
  txn.erase(order, key);
  txn.erase(packets, forgotten);
}

}  // namespace loam

// What a hostile member can do with its own directory: `forger DIR INSTANCE TEXT` writes a lesson
// in the name of another instance, signed with the key that is there, past all checks. Others must
// refuse it.
#include <chrono>
#include <iostream>

#include "lib/content.hpp"
#include "lib/identity.hpp"
#include "lib/shared_store.hpp"
#include "lib/shared_tables.hpp"

namespace {

using namespace loam;

struct Directory {
  std::filesystem::path path;
  Config config = load_config(path);
  SegmentTable segments{config.segments};
  InstanceKey key = load_instance_key(path);

  SharedStore open(const InstanceId& as) const {
    return SharedStore(path / "shared", segments, config, as, std::nullopt, key.signing);
  }

  /// Without a root a store asks nobody's rights.
  Bytes take_root() const {
    const SharedStore store = open(key.id);
    Bytes root;
    store.env().write([&](lmdb::WriteTxn& txn) {
      root = copy_of(*txn.get(table::meta, bytes_of(meta::root)));
      txn.erase(table::meta, bytes_of(meta::root));
    });
    return root;
  }

  void put_root(const Bytes& root) const {
    const SharedStore store = open(key.id);
    store.env().write(
        [&](lmdb::WriteTxn& txn) { txn.put(table::meta, bytes_of(meta::root), root); });
  }
};

void forge(const Directory& directory, const InstanceId& author, const std::string& text) {
  const Segment& segment = directory.segments.find("lessons_learned");
  const PacketParts parts = parts_of(packet_of(NewRecord{.text = text}, segment), segment, {});
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  SharedStore store = directory.open(author);
  store.env().write([&](lmdb::WriteTxn& txn) {
    SharedBatch batch(store, txn, now.count());
    (void)batch.add(store.number(segment.name), parts.content, parts.meta);
    batch.finish();
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: forger DIR INSTANCE TEXT\n";
    return 2;
  }
  try {
    const auto author = InstanceId::parse(argv[2]);
    if (!author) throw Error(ErrorCode::invalid, "not the id of an instance");
    const Directory directory{argv[1]};
    const Bytes root = directory.take_root();
    forge(directory, *author, argv[3]);
    directory.put_root(root);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "forger: " << error.what() << "\n";
    return 1;
  }
}

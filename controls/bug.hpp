#pragma once

#include <cstdint>

namespace loam {

/// Mistakes that a build with -Dplanted_bugs=true can make on demand, one at a time, so that the
/// tests show that they would notice. Each is a rule of docs/SEMANTICS.md, docs/STORAGE.md,
/// docs/WIRE.md or docs/SECURITY.md, broken. In any other build `planted` is false at compile time, and
/// nothing of this is left.
enum class Bug : std::uint8_t {
  none,
  reused_actor,                  ///< every session of an instance writes under one actor
  counter_jump,                  ///< counters of an actor have gaps
  add_supersedes_others,         ///< adding removes what other authors said of the same
  remove_one_dot,                ///< removing forgets all dots of the element but the first
  revise_keeps_old,              ///< a revision does not supersede what it revises
  put_supersedes_winner_only,    ///< siblings of a key survive its next assignment
  seen_dot_written_again,        ///< a dead dot that comes again lives again
  removals_ignored,              ///< a delta brings what is live, and takes nothing away
  larger_hash_kept,              ///< of two contents under one dot
  dead_context_not_journalled,   ///< followers by journal never hear of dots that came dead
  removals_not_journalled,       ///< nor of removals
  origin_not_journalled,         ///< what came from a peer goes back to it
  relayed_not_followed,          ///< what came from a peer goes to nobody
  floor_not_moved,               ///< a journal is cut, and says that it is not
  dropped_journal_keeps_id,      ///< positions in a journal that was dropped stay good
  fingerprint_kept_on_drop,      ///< the live root does not follow removals
  index_kept_on_drop,            ///< nor does the element index
  author_is_receiver,            ///< what a peer relays is entered as one's own
  later_position_after_refusal,  ///< what follows a refused part moves the position past it
  position_without_records,      ///< a chunk moves the position, and its records are left out
  told_before_commit,            ///< a caller hears of success before the disk does
  failure_told_as_success,       ///< or although the disk has refused
  traces_shared,                 ///< what belongs to a thread is shared
  unknown_type_shared,           ///< a packet of no known type is shared
  clock_follows_anybody,         ///< one clock that is ahead takes all others with it
  stamp_below_observed,          ///< an assignment may lose to what it has seen
  tie_by_arrival,                ///< equal stamps are settled by who came first
  restored_store_keeps_id,       ///< a copy answers for its original
  restored_journal_keeps_id,     ///< and so does its journal
  slice_claims_selection,        ///< a chunk accounts for what did not fit
  live_set_too_small,            ///< a comparison leaves a live dot out
  packet_not_remembered,         ///< a retry writes twice
  checksum_not_verified,         ///< damaged values are served

  window_ignored,               ///< chunks and parts go whatever is under way
  dead_dots_not_sent,           ///< a chunk claims what is live, so that no removal is told
  position_with_first_chunk,    ///< a position comes before all chunks that it stands for
  journal_id_ignored,           ///< a position in another journal is taken for one in this
  ends_not_compared,            ///< both followed to the end and differ: nobody looks
  base_is_later_head,           ///< a comparison stands for what came while it was made
  end_before_removals,          ///< the end of a comparison is stored before what it found
  found_removals_dropped,       ///< what it found to be removed stays
  live_set_beyond_covered,      ///< a live set speaks of one counter more than is covered
  sketch_taken_undecoded,       ///< a sketch that told too little is taken for one that told nothing
  contents_not_asked_for,       ///< one dot with two contents stays different
  fuse_never_trips,             ///< however much silence removes
  ack_before_durable,           ///< a chunk is acknowledged when it comes
  answers_wait_for_window,      ///< two full windows wait for each other's answers
  dropped_rows_not_read,        ///< rows of a comparison that was given up close the window for good
  end_before_questions,         ///< a comparison ends at the peer before it has heard all questions

  clone_not_noticed,             ///< two copies of one process go on under one actor
  loser_forgotten,               ///< of two contents under one dot, one is nowhere

  signature_not_verified,        ///< what anybody says in another's name is let in
  right_not_asked,               ///< what an author had no right to write is let in
  removals_of_anybody,           ///< removals are believed of whoever may only read
  void_records_shown,            ///< what a fence makes void is shown
  rights_not_reviewed,           ///< a conversation goes on although its rights are gone
  key_not_reviewed,              ///< who is revoked between its hello and its proof is let in
  position_past_left_out,        ///< a position stands for parts of which something was left out

  loosening_displaces,           ///< a version takes the place of a stricter one, whoever wrote it
  unseen_displaces,              ///< or of one that it has not seen
  lost_right_loosens,            ///< what somebody wrote who has lost the right to loosen loosens
  any_version_lifts,             ///< one version of several lifts the default

  majority_merge,        ///< a strong read returns what it knows once a majority has answered, however
  vote_before_durable,   ///< a store votes for what it is about to store
  vote_after_loss,       ///< an instance votes although it has lost its store
  epoch_ignored,         ///< a store votes for whoever knows other voters
  vote_without_dots,     ///< a store votes for a write that it has not heard of
};

}  // namespace loam

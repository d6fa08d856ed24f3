#include "apps/care.hpp"

#include <boost/json/value.hpp>

#include "apps/instance.hpp"
#include "apps/input.hpp"
#include "apps/shapes.hpp"
#include "apps/text.hpp"
#include "lib/doctor.hpp"

namespace loam::cli {
namespace {

constexpr int exit_sound = 0;
constexpr int exit_failed = 1;

std::string_view urgency_name(Urgency urgency) noexcept {
  switch (urgency) {
    case Urgency::notice: return "notice";
    case Urgency::warning: return "warning";
    case Urgency::damage: return "damage";
  }
  return "damage";
}

/// Runs `look` on the directory; its errors get the hints of opening one.
template <class Look>
auto hinted(const Shell& shell, Look&& look) {
  try {
    return look(shell.dir);
  } catch (const Error& error) {
    throw HintedError(error, opening_hint(error, shell.dir));
  }
}

boost::json::object verify_shape(const VerifyReport& report) {
  boost::json::array findings;
  for (const auto& finding : report.findings) {
    findings.push_back(boost::json::object{{"store", finding.store},
                                           {"table", as_utf8(finding.table)},
                                           {"page", finding.page},
                                           {"text", as_utf8(finding.text)}});
  }
  boost::json::object stores;
  for (const auto& [name, store] : report.stores) {
    stores[name] = boost::json::object{{"octets", store.octets},
                                       {"pages", store.pages},
                                       {"pages_free", store.pages_free},
                                       {"entries", store.entries}};
  }
  return {{"sound", report.is_sound()},
          {"deep", report.deep},
          {"faults", report.faults},
          {"findings", std::move(findings)},
          {"stores", std::move(stores)}};
}

std::string text_of(const VerifyReport& report) {
  std::string out;
  for (const auto& finding : report.findings) {
    out += printable(finding.store + (finding.table.empty() ? "" : " " + finding.table) + ": " +
                     finding.text) +
           "\n";
  }
  if (report.faults > report.findings.size()) {
    out += "and " + std::to_string(report.faults - report.findings.size()) + " more\n";
  }
  for (const auto& [name, store] : report.stores) {
    out += name + ": " + std::to_string(store.octets) + " octets, " +
           std::to_string(store.entries) + " entries in " + std::to_string(store.pages) +
           " pages, " + std::to_string(store.pages_free) + " of them free\n";
  }
  return out + (report.is_sound() ? "sound\n" : "damaged: `loam doctor` says what to do\n");
}

int run_absent(const command::Verify& verify, const Shell& shell) {
  const Traces traces =
      hinted(shell, [&](const auto& dir) { return find_traces(dir, verify.absent); });
  const boost::json::object json{{"id", as_utf8(verify.absent)},
                                 {"absent", traces.is_absent()},
                                 {"live", traces.live},
                                 {"used_pages", traces.used_pages},
                                 {"free_pages", traces.free_pages}};
  std::string text = "absent\n";
  if (!traces.is_absent()) {
    text = std::string(traces.live ? "live" : "not live") + ", named in " +
           std::to_string(traces.used_pages) + " pages that are in use and " +
           std::to_string(traces.free_pages) + " that are free\n";
  }
  answer(shell, json, text);
  return traces.is_absent() ? exit_sound : exit_failed;
}

std::string text_of(const DoctorReport& report) {
  std::string out;
  for (const auto& ailment : report.ailments) {
    out += std::string(urgency_name(ailment.urgency)) + ": " + printable(ailment.text) + "\n  " +
           (ailment.fixed ? "repaired" : printable(ailment.advice)) + "\n";
  }
  return report.ailments.empty() ? "nothing to tell\n" : out;
}

boost::json::object doctor_shape(const DoctorReport& report) {
  boost::json::array items;
  for (const auto& ailment : report.ailments) {
    items.push_back(boost::json::object{{"state", ailment.state},
                                        {"urgency", urgency_name(ailment.urgency)},
                                        {"text", as_utf8(ailment.text)},
                                        {"advice", as_utf8(ailment.advice)},
                                        {"fixed", ailment.fixed}});
  }
  return {{"items", std::move(items)}, {"next", nullptr}, {"damaged", report.is_damaged()}};
}

double share_of(std::uint64_t done, std::uint64_t all) {
  return all == 0 ? 1 : static_cast<double>(done) / static_cast<double>(all);
}

}  // namespace

int run(const command::Verify& verify, const Shell& shell) {
  if (!verify.absent.empty()) return run_absent(verify, shell);
  VerifyOptions options;
  options.deep = verify.deep;
  VerifyReport report;
  {
    Progress progress("pages:");
    options.progress = [&](std::string_view, std::uint64_t done, std::uint64_t pages) {
      progress.at(done, share_of(done, pages));
    };
    report = hinted(shell, [&](const auto& dir) { return verify_instance(dir, options); });
  }
  answer(shell, verify_shape(report), text_of(report));
  return report.is_sound() ? exit_sound : exit_code(ErrorCode::damaged);
}

int run(const command::Doctor& doctor, const Shell& shell) {
  DoctorOptions options;
  options.fix = doctor.fix;
  options.name = doctor.name;
  if (!doctor.federation.empty()) options.federation = read_whole(doctor.federation, federation_text_max);
  DoctorReport report;
  {
    Progress progress("pages:");
    options.progress = [&](std::string_view, std::uint64_t done, std::uint64_t pages) {
      progress.at(done, share_of(done, pages));
    };
    report = hinted(shell, [&](const auto& dir) { return examine(dir, options); });
  }
  answer(shell, doctor_shape(report), text_of(report));
  if (report.failed) return exit_failed;
  return report.is_damaged() ? exit_code(ErrorCode::damaged) : exit_sound;
}

}  // namespace loam::cli

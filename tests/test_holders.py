"""docs/security.md: each clause of the last column of its table has tests, named here."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHAPTER = "## Who is held by what"

# By who, the beginning of the clause, and the tests that hold it (below tests/).
HOLDERS: dict[str, dict[str, tuple[str, ...]]] = {
    "a user of the host": {
        "the gate": (
            "multipassd/auth/test_gate.py::test_a_stranger_gets_through_only_where_the_policy_is_open_"
            "or_the_caller_is_root",
            "multipassd/auth/test_gate.py::test_every_method_has_a_policy_and_only_these_are_not_"
            "adopting",
        ),
        "limits and budgets": (
            "multipassd/transport/test_connection_caps.py::test_one_person_has_a_cap_and_others_are_served",
            "multipassd/transport/quota/test_work_budget.py::test_a_new_connection_finds_the_account_as_the_last_one_left_"
            "it",
            "multipassd/transport/quota/test_request_memory.py::test_strangers_hold_a_pool_that_the_trusted_never_meet",
            "system/test_strangers.py::test_others_are_served_under_attack",
        ),
        "the limiter of guesses": (
            "multipassd/auth/test_guess_limiter.py::test_wrong_guesses_of_one_user_wait_longer_each_time_up_"
            "to_the_cap",
            "system/test_host_guesses.py::test_a_thousand_uids_and_tcp_guess_no_faster_than_one_"
            "and_slow_nobody_trusted",
        ),
        "an invitation": (
            "multipassd/auth/test_invitations.py::test_a_line_lets_one_client_in_once_with_its_name_and_role",
            "multipassd/auth/test_invitations.py::test_it_expires_and_a_clock_that_is_set_back_makes_none_"
            "good",
            "interop/test_invitations.py::test_of_many_clients_that_offer_a_line_at_once_one_gets_in",
        ),
        "the helpers' sockets": (
            "system/test_host_holders.py::test_the_helpers_sockets_are_roots_alone",
            "system/test_host_holders.py::test_records_keys_and_settings_are_roots_alone",
        ),
        "disks and seeds": (
            "system/test_host_instance.py::qemu_reaches_its_own_files_only",
            "multipassd/cloudinit/test_seed.py::test_the_hypervisor_s_user_reads_it_and_does_no_"
            "more_and_others_do_not",
        ),
        "over TCP": (
            "interop/test_calls.py::test_tcp_never_enrols_by_itself",
            "system/test_no_first_client.py::test_no_call_makes_a_first_client_and_the_invited_one_"
            "gets_in",
        ),
        "what other users send": (
            "system/test_journal_records.py::test_what_other_users_send_is_never_shown",
            "system/test_host_trust.py::log_shows_who_did_it_and_nothing_that_others_wrote",
        ),
        "an SSH connection that waits": (
            "client/guests/test_reuse.py::test_it_is_in_a_directory_that_no_one_else_can_enter",
            "client/guests/test_reuse.py::test_where_there_can_be_none_commands_run_as_before",
        ),
    },
    "a viewer": {
        "the least role": (
            "multipassd/auth/test_gate.py::test_a_role_gets_through_where_its_row_says_so_and_root_as_"
            "before",
            "multipassd/auth/test_gate.py::test_every_method_has_a_row_that_says_which_roles_may_call_it",
            "interop/test_roles.py::test_a_viewer_is_refused_every_call_that_is_not_a_viewers",
        ),
        "a lost, damaged": (
            "multipassd/trust/test_roles.py::test_the_loss_of_the_viewers_file_makes_no_viewer_an_admin",
            "multipassd/trust/test_roles.py::test_a_kill_at_each_write_leaves_each_client_its_old_role_or_"
            "its_new_one",
        ),
        "its guesses": (
            "multipassd/auth/test_standing.py::test_root_and_admins_guess_as_they_like_and_trusted_clients_"
            "have_more_room",
        ),
        "no log": (
            "interop/test_roles.py::test_a_viewer_sees_no_log_of_its_calls_and_its_guesses_are_limited",
        ),
    },
    "a user": {
        "instances of others": (
            "interop/test_owners.py::test_an_instance_of_another_is_answered_as_a_name_that_is_free",
            "interop/test_owners.py::test_each_call_of_the_method_table_has_a_row_here",
            "multipassd/instances/test_placing.py::test_a_user_sees_the_hosts_of_its_own_instances_and_"
            "no_instance_of_others",
            "system/test_host_incus_people.py::test_a_user_sees_places_and_moves_its_own_instances_alone",
            "multipassd/auth/test_ownership.py::test_who_may_call_is_a_matter_of_role_and_what_it_is_"
            "about_of_the_owner",
        ),
        "its quota": (
            "multipassd/instances/owners/test_quotas.py::test_any_order_of_commands_at_once_stays_within_the_"
            "quota",
        ),
        "no card on a host's network": (
            "multipassd/instances/owners/test_quotas.py::test_host_networks_are_closed_to_users_until_they_"
            "are_allowed",
        ),
        "no key": (
            "multipassd/instances/guests/test_certify.py::test_a_user_never_gets_the_key_that_opens_others_instances",
        ),
        "a relay leads": (
            "instances/test_relay.py::test_a_client_for_whom_the_instance_exists_no_more_is_out_of_it",
        ),
        "relays hold": (
            "multipassd/transport/test_inflow.py::test_whatever_is_sent_arrives_in_order_and_no_more_is_"
            "held_than_the_window",
            "interop/test_relay.py::test_a_guest_that_does_not_read_stops_the_sender_in_bounded_memory",
            "interop/test_relay.py::test_a_person_has_so_many_and_a_place_is_free_again",
        ),
        "no name": (
            "multipassd/trust/test_roles.py::test_a_name_that_owns_instances_is_not_given_to_a_user_"
            "who_comes_later",
        ),
    },
    "who answers a client": {
        "the client verifies": (
            "interop/test_remotes.py::test_a_wrong_server_hears_neither_the_line_nor_who_asks",
            "interop/test_remotes.py::test_a_server_that_repeats_the_certificate_of_another_hears_no_more",
            "interop/test_remotes.py::test_a_line_of_another_server_is_sent_nowhere_and_stays_good",
        ),
        "what it keeps": (
            "interop/test_remotes.py::test_a_service_that_was_installed_anew_is_refused_until_a_new_"
            "line_names_it",
            "interop/test_remotes.py::test_the_environment_goes_before_the_remote_in_use",
        ),
    },
    "an admin": {
        "names, MAC addresses": (
            "multipassd/instances/launching/test_launch_spec.py::test_a_name_that_can_be_none_is_refused",
            "multipassd/instances/launching/test_launch_spec.py::test_what_is_no_mac_address_is_refused",
            "multipassd/instances/launching/test_launch_networks.py::test_an_unknown_network_is_an_invalid_option",
            "multipassd/instances/test_placing.py::test_what_is_no_name_of_a_host_is_never_asked_for",
        ),
        "images are regular files": (
            "multipassd/images/test_fetch.py::test_a_file_that_is_none_is_refused",
            "multipassd/images/test_fetch.py::test_what_needs_another_file_or_is_no_image_is_"
            "refused_and_removed",
            "multipassd/images/test_refused.py::test_a_qcow2_that_is_cut_off_is_refused",
        ),
        "a `file://` image": (
            "multipassd/images/test_open_as_caller.py::test_a_file_that_the_caller_can_not_read_is_"
            "refused_though_root_could",
            "multipassd/images/test_open_as_caller.py::test_in_a_closed_directory_what_exists_and_what_"
            "does_not_are_told_alike",
            "multipassd/images/test_open_as_caller.py::test_over_tcp_no_file_of_the_host_is_launched",
            "system/test_host_images.py::files_are_opened_as_the_caller",
            "system/test_host_instance.py::another_user_can_not_launch_roots_file",
        ),
        "of a container's image": (
            "multipassd/images/worker/test_archive.py::test_templates_and_metadata_of_the_maker_"
            "never_reach_the_cluster",
            "multipassd/images/worker/test_archive.py::test_a_file_that_leads_out_is_refused",
            "multipassd/images/worker/test_archive.py::test_a_header_that_takes_all_memory_is_refused",
            "multipassd/images/worker/test_archive.py::test_sizes_and_numbers_have_limits",
        ),
        "an exported file": (
            "multipassd/images/test_exported.py::test_what_is_not_whole_or_asks_for_other_files_is_"
            "refused",
            "multipassd/images/test_exported.py::test_a_manifest_says_nothing_that_could_do_harm",
            "multipassd/images/test_exported.py::test_no_export_is_taken_for_another_user",
        ),
        "cloud-init data": (
            "multipassd/cloudinit/test_userdata.py::test_a_text_that_stands_for_far_more_than_it_"
            "is_long_is_refused",
        ),
        "a certificate to log in by": (
            "multipassd/cloudinit/test_ssh_authority.py::test_a_certificate_names_client_guest_and_"
            "nothing_but_a_terminal",
            "client/guests/test_certificates.py::test_what_is_not_for_this_guest_and_now_is_refused",
            "client/guests/test_certificates.py::test_key_and_certificate_are_in_no_file_argument_or_"
            "variable",
            "instances/test_certificates.py::test_a_certificate_is_good_for_this_guest_this_user_and_"
            "now_alone",
        ),
        "a mount is served": (
            "multipassd/mounts/test_jail.py::test_bob_gets_nothing_of_alices_closed_directory_and_alice_"
            "all",
            "multipassd/mounts/test_jail.py::test_roots_files_stay_unread_also_behind_links_out_of_the_"
            "directory",
            "multipassd/mounts/test_jail.py::test_root_itself_is_served_without_its_right_to_all_files",
            "multipassd/mounts/test_jail.py::test_a_link_anywhere_in_the_path_is_not_followed",
            "multipassd/instances/test_mount_request.py::test_a_caller_over_tcp_is_no_user_of_this_host",
        ),
        "in the snap": (
            "multipassd/mounts/test_in_snap.py::test_a_closed_source_is_refused_also_to_its_owner_and_to_"
            "root",
            "multipassd/mounts/test_in_snap.py::test_other_places_of_the_host_are_refused",
            "multipassd/mounts/test_in_snap.py::test_a_link_out_of_it_is_dead_and_nothing_outside_is_"
            "changed",
            "multipassd/mounts/test_paths.py::test_no_call_gets_out_by_a_link",
        ),
        "settings": (
            "multipassd/test_settings.py::test_no_value_writes_to_the_terminal_that_shows_it",
            "multipassd/instances/snapshots/test_tree.py::test_there_are_limits",
        ),
        "the passphrase": (
            "multipassd/test_settings.py::test_a_plain_passphrase_is_hashed_before_it_is_stored",
            "multipassd/test_settings.py::test_of_the_passphrase_only_whether_it_is_set_is_told",
        ),
        "no input becomes": (
            "multipassd/drivers/qemu/helper/test_main.py::test_only_instances_of_qemu_are_touched",
            "multipassd/drivers/qemu/test_command_line.py::test_a_comma_in_a_path_ends_no_option",
        ),
        "each deed is a record": (
            "multipassd/audit/test_deed.py::test_each_deed_of_the_table_is_one_record_with_all_fields_"
            "and_no_read_is",
            "system/test_journal_records.py::test_a_day_is_in_the_journal_and_is_read_back_in_each_format",
        ),
        "no flood of records": (
            "multipassd/audit/test_deed.py::test_a_flood_of_starts_is_bounded_summed_up_and_hides_no_"
            "deletion",
        ),
    },
    "who has copied a client's key": {
        "by a renewal": (
            "multipassd/auth/test_renewal_complaint.py::test_only_one_of_the_same_key_that_is_valid_"
            "now_for_a_year_takes_its_place",
            "multipassd/trust/test_renewing.py::test_the_new_certificate_has_all_that_the_old_one_"
            "had",
        ),
        "each renewal": (
            "interop/test_renewal.py::test_a_certificate_that_ends_soon_is_renewed_after_a_command",
        ),
        "no client names": (
            "interop/test_renewal.py::test_no_client_names_another_ones_certificate_as_its_next",
        ),
        "with `local.refuse-expired`": (
            "interop/test_expiry.py::test_it_is_refused_only_as_long_as_that_is_set",
            "interop/test_expiry.py::test_an_open_connection_is_refused_and_its_call_ended",
        ),
    },
    "a client that is trusted no longer": {
        "sessions that the service relays": (
            "interop/test_relay.py::test_the_call_of_a_client_that_is_not_trusted_any_more_ends",
            "instances/test_relay.py::test_a_revoked_client_is_out_of_the_instance_at_once",
        ),
        "each command over a connection": (
            "client/guests/test_reuse.py::test_a_client_that_is_refused_has_no_connection_any_more",
        ),
        "its log-ins": (
            "multipassd/network/helper/test_closing.py::test_one_user_is_shut_out_and_no_other",
            "multipassd/network/helper/test_closing.py::test_a_guest_at_an_address_of_another_network_is_"
            "closed",
            "multipassd/guest_access/test_sessions.py::test_guests_of_a_cluster_are_closed_where_they_are_"
            "reached",
            "instances/test_end_of_trust.py::test_access_ends_with_trust",
            "system/test_host_incus_people.py::test_log_ins_through_the_cluster_end_with_trust",
        ),
        "the shared key": (
            "multipassd/guest_access/test_departures.py::test_the_key_is_replaced_once_and_guests_are_closed_until_no_"
            "certificate_is_good",
            "multipassd/guest_access/test_departures.py::test_a_later_daemon_goes_on",
        ),
        "a guest is reached": ("instances/test_end_of_trust.py::test_access_ends_with_trust",),
    },
    "root in a guest": {
        "host keys": (
            "multipassd/instances/guests/test_guest_ssh.py::test_a_guest_with_another_host_key_than_was_made_"
            "for_it_is_not_talked_to",
            "client/guests/test_exec.py::test_another_host_key_is_refused_without_a_question",
        ),
        "what a transfer brings": (
            "client/sftp/test_hostile.py::test_names_that_lead_elsewhere_are_refused_and_the_others_"
            "arrive",
            "client/sftp/test_hostile.py::test_a_link_that_becomes_a_directory_is_not_followed",
            "client/sftp/test_hostile.py::test_no_set_user_id_bit_arrives",
            "client/guests/test_transfer.py::test_no_link_below_the_target_is_followed",
        ),
        "addresses by MAC": (
            "multipassd/network/test_bridge.py::test_a_stranger_on_the_bridge_gets_no_address",
        ),
        "no packets": (
            "multipassd/network/test_bridge.py::test_no_guest_becomes_the_host_s_router",
        ),
        "figures and one line": (
            "multipassd/instances/guests/test_guest_stats.py::test_what_is_no_figure_is_left_out",
            "multipassd/instances/guests/test_guest_ssh.py::test_a_guest_that_goes_on_and_on_is_not_listened_"
            "to",
        ),
        "the console": (
            "multipassd/drivers/qemu/test_command_line.py::test_what_a_guest_prints_is_kept_in_a_ring_in_"
            "memory_and_in_no_file",
            "multipassd/drivers/qemu/test_detached_runner.py::test_a_process_that_never_stops_complaining_"
            "fills_no_disk",
        ),
        "of a mount": (
            "multipassd/mounts/test_sftp.py::test_attributes_are_set_and_programs_get_nobodys_rights",
            "multipassd/mounts/test_sftp.py::test_pipes_and_devices_are_not_opened_and_hang_nothing",
            "multipassd/mounts/test_sftp.py::test_open_files_are_limited_and_a_closed_one_makes_room",
            "multipassd/mounts/test_sftp.py::test_a_packet_that_is_none_gets_an_answer_or_ends_the_"
            "connection",
        ),
    },
    "an attacker who controls QEMU": {
        "a user without rights": ("system/test_host_instance.py::qemu_reaches_its_own_files_only",),
        "QMP answers": (
            "multipassd/drivers/qemu/test_qmp.py::test_nonsense_ends_the_connection_or_is_passed_"
            "over_and_hangs_nobody",
        ),
        "its output is made fit": (
            "multipassd/drivers/qemu/test_qmp.py::test_what_it_says_is_fit_for_a_terminal",
        ),
        "its disk's header": (
            "multipassd/drivers/qemu/test_disks.py::test_a_disk_whose_header_names_another_file_for_"
            "its_data_is_left_alone",
            "multipassd/drivers/qemu/test_disks.py::test_a_link_in_a_disks_place_is_not_followed",
        ),
    },
    "an attacker who controls qemu-img": {
        "in the deb": (
            "system/test_host_images.py::qemu_img_has_nothing_but_the_file_that_it_is_handed",
        ),
        "elsewhere": (
            "multipassd/disk_helper/test_disk_helper.py::test_roots_becomes_a_user_without_rights_or_"
            "network",
            "multipassd/disk_helper/test_disk_helper.py::test_it_can_have_no_more_rights_than_it_has_and_"
            "sees_no_other_file",
        ),
        "it ends with": (
            "multipassd/disk_helper/test_disk_helper.py::test_who_hangs_up_ends_it",
            "multipassd/disk_helper/test_disk_helper.py::test_one_that_talks_without_end_is_ended",
        ),
        "nothing else": (
            "multipassd/disk_helper/test_disk_helper.py::test_nothing_else_in_the_daemon_runs_it",
        ),
    },
    "an attacker who controls an image worker": {
        "in the deb": (
            "multipassd/system/test_rights.py::test_all_go",
            "system/test_host_holders.py::test_an_image_worker_at_work_has_no_capability_and_sees_"
            "neither_trust_nor_disks",
        ),
        "neither trust": (
            "system/test_host_holders.py::test_an_image_worker_at_work_has_no_capability_and_sees_"
            "neither_trust_nor_disks",
        ),
    },
    "an attacker who controls a mount's server": {
        "the user's process": (
            "multipassd/mounts/test_jail.py::test_the_server_has_no_capability_no_other_file_and_the_"
            "accounts_groups",
        ),
        "what logs in": ("system/test_host_instance.py::alices_directory_is_served_as_alice",),
        "virtiofsd, too": (
            "system/test_host_instance.py::a_native_mount_is_served_by_virtiofsd",
            "instances/test_native_mounts.py::test_the_guest_gets_nothing_that_the_user_could_not_get_"
            "alone",
        ),
    },
    "a user who could write into a vault": {
        "a vault is believed": (
            "multipassd/migration/test_bad_vaults.py::test_what_can_not_be_taken_is_named_and_the_others_"
            "go_on",
        ),
        "a disk that names": (
            "multipassd/migration/test_bad_vaults.py::test_what_can_not_be_taken_is_named_and_the_others_"
            "go_on",
        ),
        "a mount comes along": (
            "multipassd/migration/test_taking.py::test_a_mount_comes_along_if_its_user_may_read_the_source",
        ),
    },
    "who answers at an address that a token of Incus names": {
        "the server shows": (
            "multipassd/drivers/incus/test_membership.py::test_a_server_with_another_certificate_gets_"
            "nothing",
            "multipassd/drivers/incus/test_membership.py::test_an_address_of_another_server_is_passed_"
            "over",
        ),
        "a token whose": (
            "multipassd/drivers/incus/test_api_cases.py::test_a_certificate_without_limits_is_given_"
            "back",
        ),
        "key and membership": (
            "multipassd/drivers/incus/test_membership.py::test_nothing_of_it_is_open_to_others",
            "multipassd/drivers/incus/test_membership.py::test_after_a_kill_the_former_membership_"
            "holds_and_the_token_goes_on",
        ),
    },
    "who rules an Incus cluster": {
        "its answers are bounded": (
            "multipassd/drivers/incus/test_hostile_cluster.py::test_an_endless_answer_is_cut_off",
            "multipassd/drivers/incus/test_hostile_cluster.py::test_an_answer_that_is_none_is_an_error_"
            "of_one_line",
            "multipassd/drivers/incus/test_hostile_cluster.py::test_cookies_of_a_server_are_not_kept",
        ),
        "values of other types": (
            "multipassd/drivers/incus/test_hostile_cluster.py::test_an_operation_without_an_id_is_none",
            "multipassd/drivers/incus/test_hostile_cluster.py::test_an_event_of_other_types_has_empty_"
            "fields",
        ),
        "each call": (
            "multipassd/drivers/incus/test_hostile_cluster.py::test_a_server_that_never_answers_costs_"
            "its_limit",
            "multipassd/drivers/incus/test_hostile_cluster.py::test_an_operation_that_never_ends_is_"
            "named",
        ),
        "what it says": (
            "multipassd/drivers/incus/test_hostile_cluster.py::test_what_a_cluster_says_does_not_"
            "command_a_terminal",
            "multipassd/drivers/incus/test_troubles.py::test_a_members_name_and_status_do_not_command_a_"
            "terminal",
        ),
        "a guest's address": (
            "multipassd/drivers/incus/test_entry.py::test_what_is_no_address_is_none",
            "multipassd/drivers/incus/test_entry.py::test_what_is_no_name_of_a_host_is_none",
        ),
        "a change is sent": (
            "multipassd/drivers/incus/test_hostile_cluster.py::test_a_change_is_sent_once_when_the_"
            "connection_breaks",
        ),
    },
    "who gives the console's page a text": {
        "no text becomes HTML": (
            "test_cockpit_page.py::test_no_text_becomes_html_and_nothing_is_inline",
            "test_cockpit_page.py::test_the_policy_allows_nothing_but_the_packages_own_files",
        ),
        "a text is a word": ("test_cockpit_page.py::test_what_is_pure_does_what_it_says",),
        "of a finding's commands": (
            "test_cockpit_page.py::test_what_is_pure_does_what_it_says",
            "multipassd/admin/test_documents.py::test_what_is_not_safe_has_no_command",
        ),
        "looking at the page": ("system/test_host_cockpit.py::looking_enrols_no_client",),
    },
    "another service of the project": {
        "what it says": (
            "multipassd/instances/sharing/test_shared_record.py::test_what_is_no_record_of_that_instance_is_"
            "refused",
            "multipassd/instances/sharing/test_shared_record.py::test_an_adopted_instance_brings_no_mount_no_"
            "port_and_no_login_of_its_service",
            "multipassd/instances/sharing/test_shared_record.py::test_a_change_from_there_keeps_what_is_of_this_"
            "service",
        ),
    },
    "who has copied the service's key": {
        "a certificate that is not limited": (
            "multipassd/drivers/incus/test_api_cases.py::test_a_certificate_without_limits_is_given_back",
            "multipassd/drivers/incus/test_inspection.py::test_a_certificate_that_is_trusted_no_longer_or_"
            "too_far_is_a_problem",
        ),
        "the key is root's": (
            "multipassd/drivers/incus/test_membership.py::test_nothing_of_it_is_open_to_others",
            "multipassd/drivers/incus/test_inspection.py::test_a_key_that_others_may_read_is_a_problem",
            "multipassd/drivers/incus/test_incus_settings.py::test_a_token_is_never_written_and_never_quoted",
            "multipassd/drivers/incus/test_token_setting.py::test_a_token_is_asked_for_without_echo_and_"
            "never_shown",
        ),
    },
    "an attacker who controls the daemon": {
        "root without": (
            "system/test_host_holders.py::test_the_daemon_has_no_capability_no_way_to_gain_one_"
            "and_a_filter",
            "system/test_host_holders.py::test_from_the_daemon_s_sandbox_neither_systemd_nor_the_"
            "bus_nor_other_files_are_reached",
        ),
        "the image worker": (
            "multipassd/images/test_open_as_caller.py::test_a_link_planted_in_the_cache_is_not_followed",
            "multipassd/images/test_open_as_caller.py::test_a_file_that_is_no_image_is_refused_before_"
            "any_of_it_is_copied",
            "system/test_host_images.py::a_planted_link_leads_nowhere",
        ),
        "the helpers": (
            "system/test_host_holders.py::test_the_machines_helper_makes_nothing_but_qemu",
            "multipassd/mounts/test_order.py::test_what_is_no_order_is_refused",
            "system/test_host_holders.py::test_the_network_s_helper_takes_names_addresses_and_its_"
            "own_verbs_only",
        ),
        "its certificate at a cluster": (
            "multipassd/drivers/incus/test_api_cases.py::test_other_projects_and_the_hosts_rights_are_"
            "refused",
        ),
    },
}


def rows() -> dict[str, list[str]]:
    """The clauses of each row's last column."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    chapter = text.partition(CHAPTER)[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in chapter.splitlines() if line[:2] == "| "]
    return {who: held.split("; ") for who, _, held in lines[1:]}


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_clause_has_tests_and_each_test_has_its_clause() -> None:
    found = rows()
    assert len(found) == len(HOLDERS)
    for (who, clauses), (name, held) in zip(found.items(), HOLDERS.items(), strict=True):
        assert who.startswith(name)
        assert len(clauses) == len(held), (who, clauses)
        for clause, beginning in zip(clauses, held, strict=True):
            assert clause.startswith(beginning), (who, clause)


@pytest.mark.parametrize(
    "test", sorted({test for held in HOLDERS.values() for tests in held.values() for test in tests})
)
def test_the_tests_that_are_named_are_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert name in functions(file)

/* local_peer.c - who is at the other end of a named pipe.
 *
 * A server is judged by the owner of its pipe ("Owner of a New Object"): the owner was set when
 * the name was made, and can only be somebody in whose name the maker may act. A client is judged
 * by its token ("ImpersonateNamedPipeClient function").
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/local.h"
#include "os/windows/error.h"
#include "os/windows/local_private.h"
#include "os/windows/wide.h"

/* Room for TOKEN_USER, TOKEN_OWNER or a security descriptor with one SID. */
union sid_room {
    TOKEN_USER user;
    TOKEN_OWNER owner;
    SECURITY_DESCRIPTOR_RELATIVE descriptor;
    unsigned char bytes[512];
};

static enum err get_token_part(HANDLE token, TOKEN_INFORMATION_CLASS part, union sid_room *room)
{
    DWORD len;
    return GetTokenInformation(token, part, room, sizeof *room, &len) ? ERR_OK : error_last();
}

/* True when `sid` is this process's user, or the one that owns what this process makes. */
static bool is_mine(PSID sid)
{
    HANDLE token;
    union sid_room user, owner;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return false;
    bool mine = (get_token_part(token, TokenUser, &user) == ERR_OK &&
                 EqualSid(sid, user.user.User.Sid)) ||
                (get_token_part(token, TokenOwner, &owner) == ERR_OK &&
                 EqualSid(sid, owner.owner.Owner));
    CloseHandle(token);
    return mine;
}

enum err local_rights(wchar_t text[LOCAL_RIGHTS_MAX])
{
    HANDLE token;
    union sid_room user;
    wchar_t *sid;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return error_last();
    enum err err = get_token_part(token, TokenUser, &user);
    CloseHandle(token);
    if (err != ERR_OK)
        return err;
    if (!ConvertSidToStringSidW(user.user.User.Sid, &sid))
        return error_last();
    int len = _snwprintf(text, LOCAL_RIGHTS_MAX - 1,
                         L"D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;OW)(A;;0x%lx;;;%ls)",
                         (unsigned long)LOCAL_CLIENT_RIGHTS, sid);
    LocalFree(sid);
    text[LOCAL_RIGHTS_MAX - 1] = L'\0';
    return len > 0 && len < LOCAL_RIGHTS_MAX - 1 ? ERR_OK : ERR_RANGE;
}

static bool is_admin(PSID sid)
{
    return IsWellKnownSid(sid, WinLocalSystemSid) ||
           IsWellKnownSid(sid, WinBuiltinAdministratorsSid);
}

/* An account that only an administrator can have set up: "LocalService Account",
 * "NetworkService Account", and those of single services, S-1-5-80-... */
static bool is_service(PSID sid)
{
    static const SID_IDENTIFIER_AUTHORITY nt = {SECURITY_NT_AUTHORITY};
    return IsWellKnownSid(sid, WinLocalServiceSid) ||
           IsWellKnownSid(sid, WinNetworkServiceSid) ||
           (memcmp(GetSidIdentifierAuthority(sid), &nt, sizeof nt) == 0 &&
            *GetSidSubAuthorityCount(sid) > 1 &&
            *GetSidSubAuthority(sid, 0) == SECURITY_SERVICE_ID_BASE_RID);
}

static void write_sid(PSID sid, char text[LOCAL_USER_MAX])
{
    wchar_t *wide;
    text[0] = '\0';
    if (!ConvertSidToStringSidW(sid, &wide))
        return;
    if (wide_to_utf8(wide, text, LOCAL_USER_MAX) != ERR_OK)
        text[0] = '\0';
    LocalFree(wide);
}

/* `token`: that of a client; NULL: of this process. */
static bool has_admin_rights(HANDLE token)
{
    SID_IDENTIFIER_AUTHORITY nt = {SECURITY_NT_AUTHORITY};
    PSID administrators;
    BOOL member = FALSE;
    if (!AllocateAndInitializeSid(&nt, 2, SECURITY_BUILTIN_DOMAIN_RID, DOMAIN_ALIAS_RID_ADMINS,
                                  0, 0, 0, 0, 0, 0, &administrators))
        return false;
    bool has = CheckTokenMembership(token, administrators, &member) && member;
    FreeSid(administrators);
    return has;
}

/* The owner, inside of `room`. */
static enum err get_owner(HANDLE pipe, union sid_room *room, PSID *owner)
{
    DWORD len;
    BOOL preset;
    if (!GetKernelObjectSecurity(pipe, OWNER_SECURITY_INFORMATION, room, sizeof *room, &len) ||
        !GetSecurityDescriptorOwner(room, owner, &preset))
        return error_last();
    return *owner == NULL || !IsValidSid(*owner) ? ERR_UNSUPPORTED : ERR_OK;
}

static enum err ask_server(HANDLE pipe, struct local_peer *out)
{
    union sid_room room;
    PSID owner;
    ULONG pid;
    enum err err = get_owner(pipe, &room, &owner);
    if (err != ERR_OK)
        return err;
    *out = (struct local_peer){.same_user = is_mine(owner), .admin = is_admin(owner)};
    if (GetNamedPipeServerProcessId(pipe, &pid))
        out->pid = pid;
    write_sid(owner, out->user);
    return ERR_OK;
}

/* The token of the client. */
static enum err open_client_token(HANDLE pipe, HANDLE *token)
{
    if (!ImpersonateNamedPipeClient(pipe))
        return error_last();
    enum err err =
        OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, TRUE, token) ? ERR_OK : error_last();
    if (!RevertToSelf())
        abort(); /* a thread must not go on with somebody else's rights */
    return err;
}

static enum err ask_client(HANDLE pipe, struct local_peer *out)
{
    HANDLE token;
    union sid_room user;
    ULONG pid;
    enum err err = open_client_token(pipe, &token);
    if (err != ERR_OK)
        return err;
    err = get_token_part(token, TokenUser, &user);
    if (err == ERR_OK) {
        PSID sid = user.user.User.Sid;
        *out = (struct local_peer){.same_user = is_mine(sid),
                                   .admin = is_admin(sid) || has_admin_rights(token)};
        write_sid(sid, out->user);
        if (GetNamedPipeClientProcessId(pipe, &pid))
            out->pid = pid;
    }
    CloseHandle(token);
    return err;
}

enum err local_peer(const struct local_conn *conn, struct local_peer *out)
{
    return conn->accepted ? ask_client(conn->pipe, out) : ask_server(conn->pipe, out);
}

bool local_is_trusted(HANDLE pipe)
{
    union sid_room room;
    PSID owner;
    if (get_owner(pipe, &room, &owner) != ERR_OK)
        return false;
    return is_mine(owner) || is_admin(owner) || (is_service(owner) && has_admin_rights(NULL));
}

void local_problem(const char *path, char text[LOCAL_PROBLEM_MAX])
{
    wchar_t *wide;
    union sid_room room;
    PSID owner;
    char user[LOCAL_USER_MAX] = "";
    str_format(text, LOCAL_PROBLEM_MAX,
               "only the user who runs the relay and administrators may use it");
    if (wide_from_utf8(path, &wide) != ERR_OK)
        return;
    HANDLE pipe = CreateFileW(wide, READ_CONTROL | GENERIC_READ, 0, NULL, OPEN_EXISTING,
                              SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
    free(wide);
    if (pipe == INVALID_HANDLE_VALUE)
        return;
    if (get_owner(pipe, &room, &owner) == ERR_OK && !local_is_trusted(pipe)) {
        write_sid(owner, user);
        str_format(text, LOCAL_PROBLEM_MAX, "the pipe belongs to another user (%s)", user);
    }
    CloseHandle(pipe);
}
